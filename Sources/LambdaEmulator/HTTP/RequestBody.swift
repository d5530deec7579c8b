import NIOCore
import NIOHTTP1
import WireFormats

/// The body of one request, read as it arrives.
struct RequestBody {
  typealias Parts = NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator

  /// A body that was read to its end.
  struct Complete: Sendable {
    /// The body, or its beginning where it was longer than the limit.
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

  /// The next piece of the body; nil at its end. Throws where the connection ends before the body does.
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

  /// The whole body; of one that is longer than `limit`, the first `limit` bytes are kept and the rest is counted.
  mutating func complete(limit: Int) async throws -> Complete {
    var bytes: [UInt8] = []
    var length = 0
    while let piece = try await next() {
      length += piece.count
      bytes.append(contentsOf: piece.prefix(limit - bytes.count))
    }
    return Complete(bytes: bytes, length: length, trailers: trailers)
  }

  /// Reads past what nobody wanted; false where that is more than is worth reading.
  mutating func discardRest(limit: Int) async throws -> Bool {
    var length = 0
    while let piece = try await next() {
      length += piece.count
      if length > limit { return false }
    }
    return true
  }
}
