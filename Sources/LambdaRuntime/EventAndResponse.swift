/// The payload of one invocation.
public struct Event: Sendable {
  /// The payload exactly as the caller sent it. Nearly always JSON.
  public let bytes: [UInt8]
  /// The `Content-Type` that the Runtime API sent with the event; nil if it sent none.
  public let contentType: String?

  /// Creates an event, for example in a unit test of a handler.
  public init(_ bytes: [UInt8], contentType: String? = nil) {
    self.bytes = bytes
    self.contentType = contentType
  }
}

/// A function's response: a buffer of bytes, or a closure that streams them.
///
/// Not `Sendable`: the closure runs on the handler's thread and may capture the handler's state.
public struct Response {
  /// The bytes of the response; empty if the response is streamed. Lambda accepts at most 6,291,556 bytes.
  public var body: [UInt8]
  /// The MIME type of the response, such as `application/json`.
  public var contentType: String
  /// The maximum size of a response that isn't streamed: 6 MiB and 100 bytes, the limit of RAPID, the Runtime API's server.
  static var maximumBytes: Int { 6_291_556 }
  /// The failure that replaces the response if it is too large; nil otherwise.
  package var sizeFailure: InvocationFailure? {
    guard body.count > Self.maximumBytes else { return nil }
    return InvocationFailure(
      type: "Function.ResponseSizeTooLarge",
      message:
        """
        The response has \(body.count) bytes, but Lambda accepts at most \(Self.maximumBytes). \
        Return less data or stream the response.
        """)
  }
  /// The closures to call after the response was sent.
  package private(set) var followUps: [() throws -> Void] = []
  /// The closure that writes the body; nil if the response isn't streamed.
  package private(set) var stream: ((inout ResponseStream) throws -> Void)?

  /// Creates a response with the given bytes and MIME type.
  public init(_ body: [UInt8], contentType: String) {
    self.body = body
    self.contentType = contentType
    stream = nil
  }

  /// Creates a response from bytes that are already JSON.
  public init(json: [UInt8]) {
    self.init(json, contentType: "application/json")
  }

  /// Creates a response that is sent while `write` produces it. The caller must have invoked the function with response
  /// streaming.
  ///
  /// If `write` throws before it writes anything, the invocation fails like any other. If it throws later, the stream ends with
  /// Lambda's error trailers: the caller keeps the bytes received so far and learns that the response is incomplete.
  public init(
    streaming contentType: String, _ write: @escaping (inout ResponseStream) throws -> Void
  ) {
    body = []
    self.contentType = contentType
    stream = write
  }

  /// Returns this response with a closure that runs after it was sent, for example to write statistics.
  ///
  /// The caller doesn't wait for `work`, but Lambda bills its time. The runtime calls it on the handler's thread before it polls for the next
  /// event, even if sending the response failed. Several closures run in the order in which they were added. If one throws an error, the
  /// runtime logs it with the request ID, and calls the next.
  ///
  /// No closure starts after the deadline, because Lambda then ends the environment. The runtime ignores a deadline that Lambda doesn't enforce:
  /// one that had already passed when the event arrived, and any deadline on Managed Instances.
  ///
  /// ```swift
  /// return Response(json: answer).then { try statistics.send() }
  /// ```
  public func then(_ work: @escaping () throws -> Void) -> Response {
    var response = self
    response.followUps.append(work)
    return response
  }

  /// Creates a streamed response to an HTTP request from a function URL. `prelude` sets its status, headers and cookies.
  public init(
    streaming prelude: HTTPPrelude, _ write: @escaping (inout ResponseStream) throws -> Void
  ) {
    self.init(streaming: "application/vnd.awslambda.http-integration-response") { stream in
      try stream.write(try prelude.bytes())
      try write(&stream)
    }
  }

  /// Returns this response with its closures called by `wrapper`, on the handler's thread; nil if it has none.
  package func wrapped(in wrapper: @escaping (() throws -> Void) throws -> Void) -> Response? {
    guard stream != nil || !followUps.isEmpty else { return nil }
    var response = self
    response.followUps = followUps.map { work in { try wrapper(work) } }
    if let stream {
      response.stream = { output in try wrapper { try stream(&output) } }
    }
    return response
  }
}
