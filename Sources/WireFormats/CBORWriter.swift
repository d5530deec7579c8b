/// Writes CBOR (RFC 8949): definite lengths, text keys in the order given, shortest integers, 64-bit floats.
///
/// It writes the same bytes as the Python agent's `cbor` library.
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

  /// The maximum size of a head in bytes: the initial byte and the longest argument.
  @usableFromInline static let longestHead = 9

  /// Creates a writer with room for `capacity` bytes before it must grow.
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
    buffer.reserve(Self.longestHead + ShortText.room)
    putHead(.textString, UInt64(truncatingIfNeeded: name.count))
    buffer.put(name)
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
  public mutating func string(plain write: (inout ByteBuffer) -> Void) {
    // The head precedes the text and contains its length. It is one byte for nearly all texts.
    let start = buffer.count
    buffer.append(0)
    write(&buffer)
    let count = buffer.count &- start &- 1
    if count < 24 {
      buffer.replace(at: start, with: initialByte(.textString, UInt8(truncatingIfNeeded: count)))
    } else {
      precondition(count <= 0xFF, "longer than 255 bytes")
      buffer.replace(at: start, with: initialByte(.textString, 24))
      buffer.insert(UInt8(truncatingIfNeeded: count), at: start + 1)
    }
  }

  @inlinable @inline(__always)
  public mutating func integer(_ value: UInt64) { head(.unsignedInteger, value) }

  public mutating func number(_ value: Double) {
    buffer.reserve(Self.longestHead)
    buffer.put(initialByte(.simpleOrFloat, 27))
    buffer.put(value.bitPattern.bigEndian)
  }

  public mutating func boolean(_ value: Bool) { buffer.append(initialByte(.simpleOrFloat, value ? 21 : 20)) }

  /// Writes the head of a data item: its type, and its argument in as few bytes as possible (section 3).
  @inlinable @inline(__always)
  mutating func head(_ type: MajorType, _ argument: UInt64) {
    buffer.reserve(Self.longestHead)
    putHead(type, argument)
  }

  /// Writes a head without a capacity check.
  @inlinable @inline(__always)
  mutating func putHead(_ type: MajorType, _ argument: UInt64) {
    if argument < 24 {
      buffer.put(initialByte(type, UInt8(truncatingIfNeeded: argument)))
    } else if argument <= 0xFF {
      buffer.put(initialByte(type, 24))
      buffer.put(UInt8(truncatingIfNeeded: argument))
    } else if argument <= 0xFFFF {
      buffer.put(initialByte(type, 25))
      buffer.put(UInt16(truncatingIfNeeded: argument).bigEndian)
    } else if argument <= 0xFFFF_FFFF {
      buffer.put(initialByte(type, 26))
      buffer.put(UInt32(truncatingIfNeeded: argument).bigEndian)
    } else {
      buffer.put(initialByte(type, 27))
      buffer.put(argument.bigEndian)
    }
  }

  @inlinable @inline(__always)
  func initialByte(_ type: MajorType, _ additionalInformation: UInt8) -> UInt8 {
    type.rawValue << 5 | additionalInformation
  }
}
