import Platform
import WireFormats

/// The Runtime API for custom runtimes, version 2018-06-01.
///
/// Paths, states, statuses and error documents follow the Lambda developer guide, "Using the Lambda runtime API for
/// custom runtimes". If the guide doesn't specify something, they follow AWS's Runtime Interface Emulator.
struct RuntimeAPIEndpoint: Sendable {
  /// The maximum size of a streamed response in bytes ("Lambda quotas": 200 MB).
  private static let streamLimit = 200 * 1024 * 1024

  let environment: any FunctionEnvironment

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path.hasPrefix("/2018-06-01/") }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    guard let route = Route(path: request.path) else {
      return Answer(status: 404, body: .bytes(Array("404 page not found\n".utf8)))
    }
    guard request.method == route.method else { return Answer(status: 405) }
    do {
      switch route {
      case .ping: return Answer(status: 200, body: .bytes(Array("pong".utf8)))
      case .next: return try await environment.nextInvocation().map(hand)
      case .restore:
        // It restores the snapshot immediately.
        return await environment.restore() ? Answer(status: 200) : Answer(status: 404)
      case .initError, .restoreError: return try await takeInitError(request, &body)
      case .response(let requestID):
        return try await takeResponse(
          request, &body, head(of: request, to: requestID, transition: "InvocationResponse"))
      case .error(let requestID):
        return try await takeError(
          request, &body, head(of: request, to: requestID, transition: "InvocationErrorResponse"))
      }
    } catch let refusal as RuntimeState.Refusal {
      return refusal.answer
    }
  }

  private enum Route {
    case ping, next, restore, initError, restoreError
    case response(to: String)
    case error(to: String)

    init?(path: Substring) {
      let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(2).map(
        String.init)
      switch segments.count {
      case 1 where segments == ["ping"]: self = .ping
      case 3 where segments == ["runtime", "invocation", "next"]: self = .next
      case 3 where segments == ["runtime", "restore", "next"]: self = .restore
      case 3 where segments == ["runtime", "init", "error"]: self = .initError
      case 3 where segments == ["runtime", "restore", "error"]: self = .restoreError
      case 4 where segments[..<2] == ["runtime", "invocation"] && segments[3] == "response":
        self = .response(to: segments[2])
      case 4 where segments[..<2] == ["runtime", "invocation"] && segments[3] == "error":
        self = .error(to: segments[2])
      default: return nil
      }
    }

    var method: String {
      switch self {
      case .ping, .next, .restore: "GET"
      case .initError, .restoreError, .response, .error: "POST"
      }
    }
  }

  private func hand(_ invocation: Invocation) -> Answer {
    let request = invocation.request
    let deadline = invocation.deadline.nanosecondsSinceEpoch / 1_000_000
    let fields: KeyValuePairs<HeaderName, String?> = [
      .contentType: request.contentType ?? "application/json",
      "Lambda-Runtime-Aws-Request-Id": invocation.requestID,
      "Lambda-Runtime-Invocation-Id": invocation.invocationID,
      "Lambda-Runtime-Deadline-Ms": String(deadline),
      "Lambda-Runtime-Invoked-Function-Arn": invocation.functionARN,
      "Lambda-Runtime-Trace-Id": request.traceID,
      "Lambda-Runtime-Client-Context": request.clientContext,
      "Lambda-Runtime-Cognito-Identity": request.cognitoIdentity,
      "Lambda-Runtime-Aws-Tenant-Id": request.tenantID,
    ]
    return Answer(
      status: 200, headers: fields.compactMap { name, value in value.map { HeaderField(name, $0) } },
      body: .bytes(request.event))
  }

  private func takeInitError(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    let document = try await body.complete(limit: Outcome.responseLimit)
    try await environment.takeInitError(document.bytes, type: errorType(of: request))
    return .accepted
  }

  private func head(
    of request: ReceivedRequest, to requestID: String, transition: String
  ) -> AnswerHead {
    AnswerHead(
      requestID: requestID, invocationID: request.value(of: "lambda-runtime-invocation-id"),
      transition: transition)
  }

  private func takeError(
    _ request: ReceivedRequest, _ body: inout RequestBody, _ head: AnswerHead
  ) async throws -> Answer {
    try await environment.checkAnswer(head)
    let document = try await body.complete(limit: Outcome.responseLimit)
    let contentType = request.value(of: .contentType)
    try await environment.takeAnswer(
      .error(
        errorDocument(document.bytes, contentType), type: errorType(of: request), contentType: contentType),
      head)
    return .accepted
  }

  private func takeResponse(
    _ request: ReceivedRequest, _ body: inout RequestBody, _ head: AnswerHead
  ) async throws -> Answer {
    try await environment.checkAnswer(head)
    let contentType = request.value(of: .contentType)
    switch request.value(of: "lambda-runtime-function-response-mode") {
    case nil, "": break
    case "streaming": return try await takeStream(&body, head, contentType: contentType)
    default:
      try await environment.takeAnswer(.invalidResponseMode, head)
      return Answer(
        status: 400,
        object: [
          "errorMessage": "Invalid function response mode", "errorType": "InvalidFunctionResponseMode",
        ])
    }
    let response = try await body.complete(limit: Outcome.responseLimit)
    guard !response.isCut else {
      try await environment.takeAnswer(.responseTooLarge, head)
      return .tooLarge
    }
    try await environment.takeAnswer(.response(response.bytes, contentType: contentType), head)
    return .accepted
  }

  /// Passes on a streamed response piece by piece. The trailers contain an error type if the function failed.
  private func takeStream(
    _ body: inout RequestBody, _ head: AnswerHead, contentType: String?
  ) async throws -> Answer {
    let requestID = head.requestID
    let stream = try await environment.beginStream(head, contentType: contentType)
    var length = 0
    do {
      while let piece = try await body.next() {
        length += piece.count
        guard length <= Self.streamLimit else {
          try await environment.endStream(to: requestID, .tooLong)
          return .tooLarge
        }
        stream.yield(.bytes(piece))
      }
    } catch {
      // Throws if the invocation has already ended. Its caller then already has the error.
      try? await environment.endStream(to: requestID, .cutShort)
      throw error
    }
    try await environment.endStream(to: requestID, StreamTrailers.end(body.trailers))
    return .accepted
  }

  private func errorType(of request: ReceivedRequest) -> String {
    keptErrorType(request.value(of: "lambda-runtime-function-error-type"))
  }

  /// Returns the error document for the caller. Removes the X-Ray cause if the document contains one.
  private func errorDocument(_ bytes: [UInt8], _ contentType: String?) -> [UInt8] {
    guard contentType == "application/vnd.aws.lambda.error.cause+json" else { return bytes }
    guard let members = try? JSONValue(parsing: bytes).members else {
      return Array(#""Invalid error body""#.utf8)
    }
    var document = JSONWriter()
    JSONValue.object(members.filter { ["errorMessage", "errorType", "stackTrace"].contains($0.name) })
      .write(to: &document)
    return document.bytes
  }
}

extension Answer {
  fileprivate static var accepted: Answer { Answer(status: 202, object: ["status": "OK"]) }

  fileprivate static var tooLarge: Answer {
    let message = "Exceeded maximum allowed payload size (\(Outcome.responseLimit) bytes)."
    return Answer(
      status: 413, object: ["errorMessage": message, "errorType": "RequestEntityTooLarge"])
  }
}

extension RuntimeState.Refusal {
  fileprivate var answer: Answer {
    switch self {
    case .invalidRequestID:
      return Answer(
        status: 400, object: ["errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"])
    case .invokeTimeout:
      return Answer(
        status: 410, object: ["errorMessage": "Invoke timeout", "errorType": "InvokeTimeout"])
    case .invalidStateTransition(let from, let to):
      let message =
        "State transition from \(from) to \(to) failed for runtime. Error: State transition is not allowed"
      return Answer(
        status: 403, object: ["errorMessage": message, "errorType": "InvalidStateTransition"])
    }
  }
}
