import WireFormats

/// The endpoint at which callers invoke the function. It has the same path as AWS's Runtime Interface Emulator and accepts only
/// POST.
///
/// It differs from AWS's emulator in two ways: a failed invocation is marked as in Lambda's Invoke API, and concurrent
/// invocations wait for each other, or for a poll if the function handles several at once.
struct InvokeEndpoint: Sendable {
  static let path = "/2015-03-31/functions/function/invocations"
  /// The maximum size of a synchronous invocation's event: 6 MB ("Lambda quotas"), and the 100 bytes that RAPID adds.
  private static let eventLimit = Outcome.responseLimit

  let environment: any FunctionEnvironment

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path == path }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    // A link or an image on a web page would send GET.
    guard request.method == "POST" else {
      return Answer(
        status: 405, headers: [HeaderField("Allow", "POST")],
        object: ["Type": "User", "Message": "Can't invoke the function with \(request.method). Use POST."])
    }
    let event = try await body.complete(limit: Self.eventLimit)
    guard !event.isCut else {
      return refusal(
        413, "RequestTooLargeException",
        "Request must be smaller than \(Self.eventLimit) bytes for the InvokeFunction operation")
    }
    var invocation = InvocationRequest(event: event.bytes)
    invocation.contentType = request.value(of: .contentType).flatMap { contentType in
      // curl's default for any data. The event is JSON nevertheless.
      contentType == "application/x-www-form-urlencoded" ? nil : contentType
    }
    invocation.traceID = request.value(of: "x-amzn-trace-id") ?? invocation.traceID
    invocation.tenantID = request.value(of: "x-amz-tenant-id")
    if let encoded = request.value(of: "x-amz-client-context") {
      guard
        let bytes = base64Decoding(encoded), let context = try? JSONValue(parsing: bytes),
        context.members != nil
      else {
        return refusal(
          400, "InvalidRequestContentException",
          "Could not parse client context: X-Amz-Client-Context must be a JSON object encoded in Base64")
      }
      // Write the JSON again to remove line breaks, which a header field can't contain.
      var document = JSONWriter()
      context.write(to: &document)
      invocation.clientContext = String(decoding: document.bytes, as: UTF8.self)
    }
    let result = await environment.invoke(invocation)
    var headers = [
      HeaderField(.contentType, result.contentType ?? "application/json"),
      HeaderField("X-Amzn-RequestId", result.requestID),
      HeaderField("X-Amz-Executed-Version", "$LATEST"),
    ]
    if result.failure != nil { headers.append(HeaderField("X-Amz-Function-Error", "Unhandled")) }
    return Answer(status: 200, headers: headers, body: result.body)
  }

  private func refusal(_ status: Int, _ type: String, _ message: String) -> Answer {
    Answer(
      status: status, headers: [HeaderField(.amznErrorType, type)],
      object: ["Type": "User", "Message": message])
  }
}
