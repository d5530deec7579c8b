/// What a function is invoked with.
public struct Event: Sendable {
  /// The bytes as the caller sent them, JSON in nearly all cases.
  public let bytes: [UInt8]
  public let contentType: String?

  public init(_ bytes: [UInt8], contentType: String? = nil) {
    self.bytes = bytes
    self.contentType = contentType
  }
}

/// What a function answers: bytes, or a stream of them.
///
/// Not `Sendable`, for what writes a stream is called on the handler's own thread, and may use what the handler has.
public struct Response {
  /// The bytes; none where the response is a stream.
  public var body: [UInt8]
  public var contentType: String
  /// What writes the body, where it is a stream.
  let stream: ((inout ResponseStream) throws -> Void)?

  public init(_ body: [UInt8], contentType: String) {
    self.body = body
    self.contentType = contentType
    stream = nil
  }

  /// A response of bytes that are JSON already.
  public init(json: [UInt8]) {
    self.init(json, contentType: "application/json")
  }

  /// A response that is sent while `write` makes it, for functions whose callers take streams.
  ///
  /// What `write` throws before its first byte is an error as any other. Thrown later, it ends the stream with Lambda's
  /// error trailers: the caller has the bytes so far, and learns that they aren't all.
  public init(
    streaming contentType: String, _ write: @escaping (inout ResponseStream) throws -> Void
  ) {
    body = []
    self.contentType = contentType
    stream = write
  }

  /// A streamed response to an HTTP request that came through a function URL, with a status and headers of its own.
  public init(
    streaming prelude: HTTPPrelude, _ write: @escaping (inout ResponseStream) throws -> Void
  ) {
    self.init(streaming: "application/vnd.awslambda.http-integration-response") { stream in
      try stream.write(prelude.bytes)
      try write(&stream)
    }
  }
}
