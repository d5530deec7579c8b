/// The payload of one invocation.
public struct Event: Sendable {
  /// The payload exactly as the caller sent it. Nearly always JSON.
  public let bytes: [UInt8]
  /// The `Content-Type` that the Runtime API sent with the event; nil if it sent none.
  public let contentType: String?

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
  /// The closures to call after the response was sent.
  private(set) var followUps: [() throws -> Void] = []
  /// The closure that writes the body; nil if the response isn't streamed.
  let stream: ((inout ResponseStream) throws -> Void)?

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

  /// Returns this response with work that runs after it was sent, such as writing statistics.
  ///
  /// The caller doesn't wait for `work`. The runtime runs it on the handler's thread before it polls for the next event, and logs an error
  /// that it throws, with the request ID. It runs all works in the order in which they were added, even if the response couldn't be sent,
  /// and starts none after the deadline, because Lambda then ends the environment. Lambda bills the time of the work.
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
      try stream.write(prelude.bytes)
      try write(&stream)
    }
  }
}
