import WireFormats

/// Extracts messages from bytes that arrive from a socket in arbitrary pieces.
///
/// Buffers at most one message of ``EventStreamMessage/maximumLength`` and the latest piece: the lengths are checked,
/// against their checksum and the limit, before the reader waits for the rest.
package struct EventStreamReader {
  private var buffer: [UInt8] = []

  package init() {}

  package mutating func append(_ bytes: [UInt8]) {
    buffer += bytes
  }

  /// Returns the next message; nil if it isn't complete yet. After an error, the stream can't be read any further.
  package mutating func nextMessage() throws(EventStreamError) -> EventStreamMessage? {
    var reader = BigEndianReader(buffer)
    guard
      let total: UInt32 = reader.integer(), let headersLength: UInt32 = reader.integer(),
      let preludeChecksum: UInt32 = reader.integer()
    else { return nil }
    let countedPrelude = crc32(buffer.prefix(8))
    guard countedPrelude == preludeChecksum else {
      throw .preludeChecksum(stated: preludeChecksum, counted: countedPrelude)
    }
    guard
      total >= EventStreamMessage.framingLength, total <= EventStreamMessage.maximumLength,
      headersLength <= total - UInt32(EventStreamMessage.framingLength),
      headersLength <= EventStreamMessage.maximumHeadersLength
    else { throw .lengthsOutOfRange(total: total, headers: headersLength) }
    guard
      let headerBytes = reader.bytes(Int(headersLength)),
      let payload = reader.bytes(Int(total - headersLength) - EventStreamMessage.framingLength),
      let checksum: UInt32 = reader.integer()
    else { return nil }
    let counted = crc32(buffer.prefix(Int(total) - 4))
    guard counted == checksum else { throw .messageChecksum(stated: checksum, counted: counted) }
    let message = EventStreamMessage(headers: try headers(Array(headerBytes)), payload: Array(payload))
    buffer.removeFirst(Int(total))
    return message
  }

  private func headers(_ bytes: [UInt8]) throws(EventStreamError) -> [EventStreamMessage.Header] {
    var reader = BigEndianReader(bytes)
    var headers: [EventStreamMessage.Header] = []
    while !reader.isAtEnd {
      let offset = reader.position
      guard let nameLength: UInt8 = reader.integer(), nameLength > 0, let name = reader.bytes(Int(nameLength))
      else { throw .malformedHeader(offset: offset, reason: "expected a name of 1 to 255 bytes") }
      guard let name = String(validating: name, as: UTF8.self) else {
        throw .malformedHeader(offset: offset, reason: "the name isn't UTF-8")
      }
      let valueOffset = reader.position
      guard let code: UInt8 = reader.integer(), let type = HeaderType(rawValue: code) else {
        throw .malformedHeader(offset: valueOffset, reason: "the type of '\(name)' isn't 0 to 9")
      }
      guard let value = value(of: type, from: &reader) else {
        throw .malformedHeader(
          offset: valueOffset, reason: "the value of '\(name)' (type \(type)) is truncated")
      }
      headers.append(EventStreamMessage.Header(name, value))
    }
    return headers
  }

  private func value(
    of type: HeaderType, from reader: inout BigEndianReader
  ) -> EventStreamMessage.HeaderValue? {
    switch type {
    case .true: return .boolean(true)
    case .false: return .boolean(false)
    case .int8: return reader.integer().map { .int8($0) }
    case .int16: return reader.integer().map { .int16($0) }
    case .int32: return reader.integer().map { .int32($0) }
    case .int64: return reader.integer().map { .int64($0) }
    case .timestamp: return reader.integer().map { .timestamp($0) }
    case .uuid: return reader.bytes(16).map { .uuid(Array($0)) }
    case .bytes, .string:
      guard
        let length: UInt16 = reader.integer(), length <= EventStreamMessage.maximumHeaderValueLength,
        let bytes = reader.bytes(Int(length))
      else { return nil }
      guard type == .string else { return .bytes(Array(bytes)) }
      return String(validating: bytes, as: UTF8.self).map { .string($0) }
    }
  }
}

/// Reads numbers and bytes from the front of an array. If too few bytes are left, a read returns nil and consumes
/// nothing.
private struct BigEndianReader {
  private let all: [UInt8]
  private(set) var position = 0

  init(_ bytes: [UInt8]) {
    all = bytes
  }

  var isAtEnd: Bool { position == all.count }

  mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
    guard count >= 0, count <= all.count - position else { return nil }
    defer { position += count }
    return all[position..<position + count]
  }

  mutating func integer<Number: FixedWidthInteger>() -> Number? {
    guard let bytes = bytes(Number.bitWidth / 8) else { return nil }
    return bytes.reduce(0 as Number) { $0 << 8 | Number(truncatingIfNeeded: $1) }
  }
}
