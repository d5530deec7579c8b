/// Sends the body of a streamed response.
///
/// Each write is sent immediately as one chunk, so a few large writes are cheaper than many small ones.
public struct ResponseStream: ~Copyable {
  private let send: ([UInt8]) throws -> Void

  /// Creates a stream that passes the bytes of each write to `send`.
  package init(_ send: @escaping ([UInt8]) throws -> Void) {
    self.send = send
  }

  /// Sends `bytes` as one chunk. If `bytes` is empty, sends nothing.
  ///
  /// Blocks while the caller reads slowly, for at most the time that the invocation had left when the stream began.
  ///
  /// An error means that the stream is broken: every further call throws the same error.
  public mutating func write(_ bytes: [UInt8]) throws {
    try send(bytes)
  }
}
