/// Writes CBOR (RFC 8949): definite lengths, text keys in the order given, shortest integers, 64-bit floats.
///
/// The bytes are those of the Python agent's `cbor` library for the same document.
package struct CBORWriter: DocumentWriter {
  package private(set) var bytes: [UInt8] = []

  private enum MajorType: UInt8 {
    case unsignedInteger = 0
    case textString = 3
    case array = 4
    case map = 5
    case simpleOrFloat = 7
  }

  package init() {}

  package mutating func beginMap(count: Int) { head(.map, UInt64(count)) }
  package mutating func endMap() {}
  package mutating func beginList(count: Int) { head(.array, UInt64(count)) }
  package mutating func endList() {}
  package mutating func key(_ name: String) { string(name) }

  package mutating func string(_ text: String) {
    head(.textString, UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  package mutating func string(utf8 text: Span<UInt8>) {
    head(.textString, UInt64(text.count))
    for index in text.indices { bytes.append(text[index]) }
  }

  package mutating func integer(_ value: UInt64) { head(.unsignedInteger, value) }

  package mutating func number(_ value: Double) {
    initialByte(.simpleOrFloat, 27)
    appendBigEndian(value.bitPattern, byteCount: 8)
  }

  package mutating func boolean(_ value: Bool) { initialByte(.simpleOrFloat, value ? 21 : 20) }

  /// Writes the head of a data item: its type, and its argument in as few bytes as hold it (section 3).
  private mutating func head(_ type: MajorType, _ argument: UInt64) {
    switch argument {
    case 0..<24:
      initialByte(type, UInt8(argument))
    case 24...0xFF:
      initialByte(type, 24)
      appendBigEndian(argument, byteCount: 1)
    case 0x100...0xFFFF:
      initialByte(type, 25)
      appendBigEndian(argument, byteCount: 2)
    case 0x1_0000...0xFFFF_FFFF:
      initialByte(type, 26)
      appendBigEndian(argument, byteCount: 4)
    default:
      initialByte(type, 27)
      appendBigEndian(argument, byteCount: 8)
    }
  }

  private mutating func initialByte(_ type: MajorType, _ additionalInformation: UInt8) {
    bytes.append(type.rawValue << 5 | additionalInformation)
  }

  private mutating func appendBigEndian(_ value: UInt64, byteCount: Int) {
    for index in (0..<byteCount).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
    }
  }
}
