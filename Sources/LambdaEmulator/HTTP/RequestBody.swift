import NIOCore
import NIOHTTP1
import WireFormats

/// The body of a request, which is read as it arrives.
struct RequestBody {
  typealias Parts = NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator

  /// A complete body.
  struct Complete: Sendable {
    /// The body, truncated if it was longer than the limit.
    let bytes: [UInt8]
    let length: Int
    let trailers: [HeaderField]

    var isCut: Bool { bytes.count < length }
  }

  private(set) var parts: Parts
  private(set) var isAtEnd = false
  private(set) var trailers: [HeaderField] = []

  init(_ parts: Parts) {
    self.parts = parts
  }

  /// Returns the next piece of the body; nil at its end. Throws if the connection ends before the body does.
  mutating func next() async throws -> [UInt8]? {
    if isAtEnd { return nil }
    switch try await parts.next() {
    case .body(let buffer): return Array(buffer.readableBytesView)
    case .end(let fields):
      isAtEnd = true
      trailers = fields.map { fields in fields.map { HeaderField(HeaderName($0.name), $0.value) } } ?? []
      return nil
    case .head, nil: throw ServerError.requestCutShort
    }
  }

  /// Reads the whole body. Keeps at most `limit` bytes, but counts all of them.
  mutating func complete(limit: Int) async throws -> Complete {
    var bytes: [UInt8] = []
    var length = 0
    while let piece = try await next() {
      length += piece.count
      bytes.append(contentsOf: piece.prefix(limit - bytes.count))
    }
    return Complete(bytes: bytes, length: length, trailers: trailers)
  }

  /// Discards the rest of the body. Returns false if it is longer than `limit`.
  mutating func discardRest(limit: Int) async throws -> Bool {
    var length = 0
    while let piece = try await next() {
      length += piece.count
      if length > limit { return false }
    }
    return true
  }
}
