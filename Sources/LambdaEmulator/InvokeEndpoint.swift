import Synchronization
import WireFormats

/// The endpoint at which callers invoke the functions: the Invoke operation of Lambda's API.
///
/// Its paths are those of the API, so `aws lambda invoke --endpoint-url` works. It accepts only POST. It differs from AWS's Runtime
/// Interface Emulator in two ways: a failed invocation is marked as in Lambda's API, and concurrent invocations wait for each other, or
/// for a poll if the function handles several at once.
final class InvokeEndpoint: Sendable {
  private static let prefix = "/2015-03-31/functions/"
  private static let suffix = "/invocations"
  /// The maximum size of a synchronous invocation's event: 6 MB ("Lambda quotas"), and the 100 bytes that RAPID adds.
  static let eventLimit = Outcome.responseLimit
  /// The maximum size of an asynchronous invocation's event: 1 MB.
  private static let asynchronousEventLimit = 1024 * 1024
  /// The maximum number of asynchronous invocations that haven't ended. Each keeps its event in memory.
  private static let queueLimit = 100

  private let functions: FunctionDirectory
  private let queued = Mutex(0)

  init(functions: FunctionDirectory) {
    self.functions = functions
  }

  /// Returns the path at which a function is invoked.
  static func path(of name: String) -> String { "\(prefix)\(percentEncoding(name.utf8))\(suffix)" }

  static func isResponsible(for request: ReceivedRequest) -> Bool {
    request.path.hasPrefix(prefix) && request.path.hasSuffix(suffix)
      && request.path.utf8.count > prefix.utf8.count + suffix.utf8.count
  }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    // A link or an image on a web page would send GET.
    guard request.method == "POST" else {
      return Answer(
        status: 405, headers: [HeaderField("Allow", "POST")],
        object: ["Type": "User", "Message": "Can't invoke the function with \(request.method). Use POST."])
    }
    do {
      let function = try function(in: request)
      let type = try InvocationType(request)
      let wantsLog = try Self.wantsLog(request)
      let limit = type == .event ? Self.asynchronousEventLimit : Self.eventLimit
      let event = try await body.complete(limit: limit)
      guard !event.isCut else {
        throw Refusal(
          413, "RequestTooLargeException",
          "Request must be smaller than \(limit) bytes for the InvokeFunction operation")
      }
      let invocation = try Self.invocation(request, event.bytes)
      switch type {
      case .dryRun: return Answer(status: 204)
      case .event: return try queue(invocation, function)
      case .requestResponse:
        let result = await function.environment.invoke(invocation)
        return wantsLog ? await Self.answer(withLogOf: result) : Self.answer(with: result)
      }
    } catch let refusal as Refusal {
      return refusal.answer
    }
  }

  private func function(in request: ReceivedRequest) throws(Refusal) -> HostedFunction {
    let encoded = request.path.dropFirst(Self.prefix.count).dropLast(Self.suffix.count)
    let name = percentDecoding(encoded.utf8).map { String(decoding: $0, as: UTF8.self) } ?? String(encoded)
    if let found = functions.function(called: name) { return found }
    let known = functions.names.map { "'\($0)'" }.joined(separator: ", ")
    let region = functions.first.configuration.region
    throw Refusal(
      404, "ResourceNotFoundException",
      "Function not found: arn:aws:lambda:\(region):012345678912:function:\(name.prefix(140)). The functions are \(known). "
        + "Start the emulator with --handler NAME for each function of the program.")
  }

  private static func wantsLog(_ request: ReceivedRequest) throws(Refusal) -> Bool {
    switch request.value(of: "x-amz-log-type") {
    case nil, "", "None": return false
    case "Tail": return true
    case let other?:
      throw Refusal(
        400, "ValidationException", "X-Amz-Log-Type is '\(other.prefix(40))'. Use Tail or None.")
    }
  }

  private static func invocation(
    _ request: ReceivedRequest, _ event: [UInt8]
  ) throws(Refusal) -> InvocationRequest {
    var invocation = InvocationRequest(event: event)
    invocation.contentType = request.value(of: .contentType).flatMap { contentType in
      // curl's default for any data. The event is JSON nevertheless.
      contentType == "application/x-www-form-urlencoded" ? nil : contentType
    }
    invocation.traceID = request.value(of: "x-amzn-trace-id") ?? invocation.traceID
    invocation.tenantID = request.value(of: "x-amz-tenant-id")
    guard let encoded = request.value(of: "x-amz-client-context") else { return invocation }
    guard
      let bytes = base64Decoding(encoded), let context = try? JSONValue(parsing: bytes),
      context.members != nil
    else {
      throw Refusal(
        400, "InvalidRequestContentException",
        "Could not parse client context: X-Amz-Client-Context must be a JSON object encoded in Base64")
    }
    // Write the JSON again to remove line breaks, which a header field can't contain.
    var document = JSONWriter()
    context.write(to: &document)
    invocation.clientContext = String(decoding: document.bytes, as: UTF8.self)
    return invocation
  }

  /// Accepts an invocation whose caller doesn't wait for it. Unlike Lambda, the emulator doesn't retry it if it fails.
  private func queue(_ invocation: InvocationRequest, _ function: HostedFunction) throws(Refusal) -> Answer {
    let isAccepted = queued.withLock { count in
      guard count < Self.queueLimit else { return false }
      count += 1
      return true
    }
    guard isAccepted else {
      throw Refusal(
        429, "TooManyRequestsException",
        "\(Self.queueLimit) asynchronous invocations are waiting. Try again when some of them have ended.")
    }
    // Ends with the environment at the latest, which fails all invocations when it stops.
    Task {
      _ = await function.environment.invoke(invocation).complete()
      queued.withLock { $0 -= 1 }
    }
    return Answer(status: 202)
  }

  private static func answer(with result: InvocationResult) -> Answer {
    var headers = [
      HeaderField(.contentType, result.contentType ?? "application/json"),
      HeaderField("X-Amzn-RequestId", result.requestID),
      HeaderField("X-Amz-Executed-Version", "$LATEST"),
    ]
    if result.failure != nil { headers.append(HeaderField("X-Amz-Function-Error", "Unhandled")) }
    return Answer(status: 200, headers: headers, body: result.body)
  }

  /// Returns the answer with the end of the log in a header. It is complete only after the response, so a stream is collected first.
  private static func answer(withLogOf result: InvocationResult) async -> Answer {
    let complete = await result.complete()
    var failure = complete.failure
    var body = complete.streamError ?? complete.body
    if body.count > Outcome.responseLimit {
      failure = .responseTooLarge
      body = jsonObject([
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage":
          "Response payload size exceeded maximum allowed payload size (\(Outcome.responseLimit) bytes). Invoke the function without the log to receive a stream.",
      ])
    }
    var answer = answer(
      with: InvocationResult(
        requestID: result.requestID, failure: failure, contentType: result.contentType, body: .bytes(body)))
    if let log = result.log {
      answer.headers.append(HeaderField("X-Amz-Log-Result", base64(await log.tail())))
    }
    return answer
  }
}

/// Whether a caller waits for the response (`X-Amz-Invocation-Type`).
private enum InvocationType: String {
  case requestResponse = "RequestResponse"
  case event = "Event"
  /// Only checks the request.
  case dryRun = "DryRun"

  init(_ request: ReceivedRequest) throws(Refusal) {
    let text = request.value(of: "x-amz-invocation-type") ?? Self.requestResponse.rawValue
    guard let type = Self(rawValue: text) else {
      throw Refusal(
        400, "ValidationException",
        "X-Amz-Invocation-Type is '\(text.prefix(40))'. Use RequestResponse, Event or DryRun.")
    }
    self = type
  }
}

/// An error answer in the form of Lambda's API.
private struct Refusal: Error {
  let answer: Answer

  init(_ status: Int, _ type: String, _ message: String) {
    answer = Answer(
      status: status, headers: [HeaderField(.amznErrorType, type)],
      object: ["Type": "User", "Message": message])
  }
}
