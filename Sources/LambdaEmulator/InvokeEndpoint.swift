import WireFormats

/// The URL at which callers invoke the function: that of AWS's runtime interface emulator, for POST only.
///
/// Other than there, a failed invocation is marked as Lambda's own Invoke API marks it, and callers who come while
/// an invocation runs wait for their turn.
struct InvokeEndpoint: Sendable {
  static let path = "/2015-03-31/functions/function/invocations"
  /// The largest event of a synchronous invocation ("Lambda quotas": 6 MB), and RAPID's allowance of 100 bytes.
  private static let eventLimit = RuntimeAPIEndpoint.responseLimit

  let environment: ExecutionEnvironment

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path == path }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    // A link or a picture on a web page is a GET.
    guard request.method == "POST" else {
      return Answer(
        status: 405, headers: [HeaderField("Allow", "POST")],
        object: ["Type": "User", "Message": "The function is invoked with POST, not \(request.method)"])
    }
    let event = try await body.complete(limit: Self.eventLimit)
    guard !event.isCut else {
      return refusal(
        413, "RequestTooLargeException",
        "Request must be smaller than \(Self.eventLimit) bytes for the InvokeFunction operation")
    }
    var invocation = InvocationRequest(event: event.bytes)
    invocation.contentType = request.value(of: .contentType).flatMap { contentType in
      // What curl says of any data: the event is JSON all the same.
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
          "Could not parse client context: X-Amz-Client-Context has to be the Base64 of a JSON object")
      }
      // Through the writer: a header field has no place for line breaks.
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
