/// Writes compact JSON (RFC 8259).
package struct JSONWriter: DocumentWriter {
  package private(set) var bytes: [UInt8] = []
  /// Whether a comma belongs before the next key or value: false right after an opening bracket, and after a key.
  private var needsComma = false

  package init() {}

  package mutating func beginMap(count: Int) { open(UInt8(ascii: "{")) }
  package mutating func endMap() { close(UInt8(ascii: "}")) }
  package mutating func beginList(count: Int) { open(UInt8(ascii: "[")) }
  package mutating func endList() { close(UInt8(ascii: "]")) }

  package mutating func key(_ name: String) {
    separate()
    appendQuoted(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  package mutating func string(_ text: String) {
    separate()
    appendQuoted(text)
    needsComma = true
  }

  package mutating func string(utf8 text: Span<UInt8>) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    for index in text.indices { appendEscaped(text[index]) }
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  package mutating func integer(_ value: UInt64) { literal(String(value)) }

  /// Writes a number; `null` for infinity and NaN, which JSON can't tell.
  package mutating func number(_ value: Double) { literal(value.isFinite ? "\(value)" : "null") }

  package mutating func boolean(_ value: Bool) { literal(value ? "true" : "false") }

  package mutating func null() { literal("null") }

  /// Writes a value that is JSON already.
  package mutating func literal(_ json: String) {
    separate()
    bytes.append(contentsOf: json.utf8)
    needsComma = true
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
  }

  private mutating func appendQuoted(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 { appendEscaped(byte) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func appendEscaped(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): bytes.append(contentsOf: #"\""#.utf8)
    case UInt8(ascii: "\\"): bytes.append(contentsOf: #"\\"#.utf8)
    case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
    case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
    case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
    case 0x00..<0x20, 0x7F:
      bytes.append(contentsOf: #"\u00"#.utf8)
      appendHex(byte, to: &bytes)
    default: bytes.append(byte)
    }
  }
}
