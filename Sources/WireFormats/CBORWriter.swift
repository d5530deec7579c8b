/// Writes CBOR (RFC 8949): definite lengths, text keys in the order given, shortest integers, 64-bit floats.
///
/// The bytes are those of the Python agent's `cbor` library for the same document.
public struct CBORWriter: DocumentWriter, ~Copyable {
  @usableFromInline var buffer: ByteBuffer

  @usableFromInline
  enum MajorType: UInt8 {
    case unsignedInteger = 0
    case textString = 3
    case array = 4
    case map = 5
    case simpleOrFloat = 7
  }

  /// A writer with room for `capacity` bytes before it has to grow.
  public init(capacity: Int = 256) {
    buffer = ByteBuffer(capacity: capacity)
  }

  public var bytes: [UInt8] { buffer.bytes }

  @inlinable @inline(__always)
  public mutating func beginMap(count: Int) { head(.map, UInt64(count)) }
  @inlinable @inline(__always)
  public mutating func endMap() {}
  @inlinable @inline(__always)
  public mutating func beginList(count: Int) { head(.array, UInt64(count)) }
  @inlinable @inline(__always)
  public mutating func endList() {}

  @inlinable
  public mutating func key(_ name: String) { string(name) }

  @inlinable @inline(__always)
  public mutating func key(_ name: ShortText) {
    head(.textString, UInt64(truncatingIfNeeded: name.count))
    buffer.append(name)
  }

  @inlinable
  public mutating func string(_ text: String) {
    let characters = text.utf8.span
    head(.textString, UInt64(truncatingIfNeeded: characters.count))
    buffer.append(characters)
  }

  @inlinable @inline(__always)
  public mutating func string(_ text: ShortText) { key(text) }

  @inlinable @inline(__always)
  public mutating func string(plain text: Span<UInt8>) {
    head(.textString, UInt64(truncatingIfNeeded: text.count))
    buffer.append(text)
  }

  @inlinable @inline(__always)
  public mutating func integer(_ value: UInt64) { head(.unsignedInteger, value) }

  public mutating func number(_ value: Double) {
    initialByte(.simpleOrFloat, 27)
    buffer.append(bytesOf: value.bitPattern.bigEndian)
  }

  public mutating func boolean(_ value: Bool) { initialByte(.simpleOrFloat, value ? 21 : 20) }

  /// Writes the head of a data item: its type, and its argument in as few bytes as hold it (section 3).
  @inlinable @inline(__always)
  mutating func head(_ type: MajorType, _ argument: UInt64) {
    if argument < 24 {
      initialByte(type, UInt8(truncatingIfNeeded: argument))
    } else {
      longHead(type, argument)
    }
  }

  @inlinable @inline(__always)
  mutating func longHead(_ type: MajorType, _ argument: UInt64) {
    if argument <= 0xFF {
      initialByte(type, 24)
      buffer.append(UInt8(truncatingIfNeeded: argument))
    } else if argument <= 0xFFFF {
      initialByte(type, 25)
      buffer.append(bytesOf: UInt16(truncatingIfNeeded: argument).bigEndian)
    } else if argument <= 0xFFFF_FFFF {
      initialByte(type, 26)
      buffer.append(bytesOf: UInt32(truncatingIfNeeded: argument).bigEndian)
    } else {
      initialByte(type, 27)
      buffer.append(bytesOf: argument.bigEndian)
    }
  }

  @inlinable @inline(__always)
  mutating func initialByte(_ type: MajorType, _ additionalInformation: UInt8) {
    buffer.append(type.rawValue << 5 | additionalInformation)
  }
}
