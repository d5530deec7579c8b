import WireFormats

/// A message of the `application/vnd.amazon.eventstream` encoding: typed headers and a payload.
///
/// On the wire, with all numbers big-endian: total length, headers length, CRC-32 of those eight bytes, headers, payload,
/// CRC-32 of everything before it (AWS event stream encoding, Amazon Transcribe developer guide).
package struct EventStreamMessage: Equatable, Sendable {
  package var headers: [Header]
  package var payload: [UInt8]

  package struct Header: Equatable, Sendable {
    package var name: String
    package var value: HeaderValue

    package init(_ name: String, _ value: HeaderValue) {
      self.name = name
      self.value = value
    }
  }

  package enum HeaderValue: Equatable, Sendable {
    case boolean(Bool)
    case int8(Int8)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case bytes([UInt8])
    case string(String)
    /// Milliseconds since 1970-01-01T00:00:00Z.
    case timestamp(Int64)
    /// 16 bytes.
    case uuid([UInt8])
  }

  package init(headers: [Header], payload: [UInt8] = []) {
    self.headers = headers
    self.payload = payload
  }

  /// Returns the value of the header called `name`; nil if there is none.
  package subscript(_ name: String) -> HeaderValue? {
    headers.first { $0.name == name }?.value
  }

  /// The longest message that the reader accepts. An IoT message of 128 KiB is 175 KiB of Base64; a configuration is much
  /// shorter.
  package static let maximumLength = 1 << 20
  static let maximumHeadersLength = 128 << 10
  static let maximumHeaderValueLength = 32_767
  /// The length of the prelude: two lengths and their checksum.
  package static let preludeLength = 12
  /// The length of the prelude and the checksum at the end.
  package static let framingLength = 16
}

/// The reason why bytes aren't an event stream message, or why a message can't be encoded.
package enum EventStreamError: Error, Equatable, Sendable, CustomStringConvertible {
  case lengthsOutOfRange(total: UInt32, headers: UInt32)
  case preludeChecksum(stated: UInt32, counted: UInt32)
  case messageChecksum(stated: UInt32, counted: UInt32)
  case malformedHeader(offset: Int, reason: String)
  case headerTooLong(name: String, length: Int)

  package var description: String {
    switch self {
    case .lengthsOutOfRange(let total, let headers):
      """
      an event stream message of \(total) bytes with \(headers) bytes of headers; valid are \
      \(EventStreamMessage.framingLength) to \(EventStreamMessage.maximumLength) bytes with the headers inside
      """
    case .preludeChecksum(let stated, let counted):
      "the lengths of an event stream message are damaged: the CRC-32 is \(counted) instead of \(stated)"
    case .messageChecksum(let stated, let counted):
      "an event stream message is damaged: the CRC-32 is \(counted) instead of \(stated)"
    case .malformedHeader(let offset, let reason):
      "the headers of an event stream message are malformed at byte \(offset): \(reason)"
    case .headerTooLong(let name, let length):
      "the header '\(name)' has \(length) bytes; a name can have 1 to 255, a value at most 32,767"
    }
  }
}

extension EventStreamMessage {
  /// Returns the message as bytes for the wire.
  package func encoded() throws(EventStreamError) -> [UInt8] {
    var encodedHeaders: [UInt8] = []
    for header in headers { try append(header, to: &encodedHeaders) }
    let total = Self.framingLength + encodedHeaders.count + payload.count
    guard let total = UInt32(exactly: total), encodedHeaders.count <= Self.maximumHeadersLength else {
      throw .lengthsOutOfRange(
        total: UInt32(clamping: total), headers: UInt32(clamping: encodedHeaders.count))
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(total))
    appendBigEndian(total, to: &bytes)
    appendBigEndian(UInt32(encodedHeaders.count), to: &bytes)
    appendBigEndian(crc32(bytes), to: &bytes)
    bytes += encodedHeaders
    bytes += payload
    appendBigEndian(crc32(bytes), to: &bytes)
    return bytes
  }

  private func append(_ header: Header, to bytes: inout [UInt8]) throws(EventStreamError) {
    guard let nameLength = UInt8(exactly: header.name.utf8.count), nameLength > 0 else {
      throw .headerTooLong(name: header.name, length: header.name.utf8.count)
    }
    bytes.append(nameLength)
    bytes += header.name.utf8
    switch header.value {
    case .boolean(let value): bytes.append(value ? HeaderType.true.rawValue : HeaderType.false.rawValue)
    case .int8(let value): append(.int8, value, to: &bytes)
    case .int16(let value): append(.int16, value, to: &bytes)
    case .int32(let value): append(.int32, value, to: &bytes)
    case .int64(let value): append(.int64, value, to: &bytes)
    case .bytes(let value): try append(.bytes, value, of: header, to: &bytes)
    case .string(let value): try append(.string, Array(value.utf8), of: header, to: &bytes)
    case .timestamp(let value): append(.timestamp, value, to: &bytes)
    case .uuid(let value):
      guard value.count == 16 else { throw .headerTooLong(name: header.name, length: value.count) }
      bytes.append(HeaderType.uuid.rawValue)
      bytes += value
    }
  }

  private func append(_ type: HeaderType, _ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    bytes.append(type.rawValue)
    appendBigEndian(value, to: &bytes)
  }

  private func append(
    _ type: HeaderType, _ value: [UInt8], of header: Header, to bytes: inout [UInt8]
  ) throws(EventStreamError) {
    guard value.count <= Self.maximumHeaderValueLength else {
      throw .headerTooLong(name: header.name, length: value.count)
    }
    bytes.append(type.rawValue)
    appendBigEndian(UInt16(value.count), to: &bytes)
    bytes += value
  }
}

enum HeaderType: UInt8 {
  case `true` = 0
  case `false` = 1
  case int8 = 2
  case int16 = 3
  case int32 = 4
  case int64 = 5
  case bytes = 6
  case string = 7
  case timestamp = 8
  case uuid = 9
}
