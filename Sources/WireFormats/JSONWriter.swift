/// Writes compact JSON (RFC 8259).
public struct JSONWriter: DocumentWriter, ~Copyable {
  @usableFromInline var buffer: ByteBuffer
  /// Whether the next key or value needs a comma before it. False directly after an opening bracket or a key.
  @usableFromInline var needsComma = false

  /// Creates a writer with room for `capacity` bytes before it must grow.
  public init(capacity: Int = 256) {
    buffer = ByteBuffer(capacity: capacity)
  }

  public var bytes: [UInt8] { buffer.bytes }

  @inlinable @inline(__always)
  public mutating func beginMap(count: Int) { open(UInt8(ascii: "{")) }
  @inlinable @inline(__always)
  public mutating func endMap() { close(UInt8(ascii: "}")) }
  @inlinable @inline(__always)
  public mutating func beginList(count: Int) { open(UInt8(ascii: "[")) }
  @inlinable @inline(__always)
  public mutating func endList() { close(UInt8(ascii: "]")) }

  @inlinable
  public mutating func key(_ name: String) {
    separate()
    appendQuoted(name)
    buffer.append(UInt8(ascii: ":"))
    needsComma = false
  }

  @inlinable @inline(__always)
  public mutating func key(_ name: ShortText) {
    buffer.reserve(ShortText.room + 4)
    if needsComma { buffer.put(UInt8(ascii: ",")) }
    buffer.put(UInt8(ascii: "\""))
    buffer.put(name)
    // `":` in memory order.
    buffer.put(UInt16(0x3A22).littleEndian)
    needsComma = false
  }

  @inlinable
  public mutating func string(_ text: String) {
    separate()
    appendQuoted(text)
    needsComma = true
  }

  @inlinable @inline(__always)
  public mutating func string(_ text: ShortText) {
    if text.isPlain {
      separate()
      buffer.reserve(ShortText.room + 2)
      buffer.put(UInt8(ascii: "\""))
      buffer.put(text)
      buffer.put(UInt8(ascii: "\""))
      needsComma = true
    } else {
      string(text.string)
    }
  }

  @inlinable @inline(__always)
  public mutating func string(plain write: (inout ByteBuffer) -> Void) {
    separate()
    buffer.append(UInt8(ascii: "\""))
    write(&buffer)
    buffer.append(UInt8(ascii: "\""))
    needsComma = true
  }

  @inlinable @inline(__always)
  public mutating func integer(_ value: UInt64) {
    separate()
    buffer.append(decimal: value)
    needsComma = true
  }

  /// Writes a number. Writes `null` for infinity and NaN, which JSON can't represent.
  public mutating func number(_ value: Double) { literal(value.isFinite ? "\(value)" : "null") }

  public mutating func boolean(_ value: Bool) { literal(value ? "true" : "false") }

  public mutating func null() { literal("null") }

  /// Writes text that is already valid JSON.
  public mutating func literal(_ json: String) {
    separate()
    buffer.append(json.utf8.span)
    needsComma = true
  }

  @inlinable @inline(__always)
  mutating func open(_ bracket: UInt8) {
    separate()
    buffer.append(bracket)
    needsComma = false
  }

  @inlinable @inline(__always)
  mutating func close(_ bracket: UInt8) {
    buffer.append(bracket)
    needsComma = true
  }

  @inlinable @inline(__always)
  mutating func separate() {
    if needsComma { buffer.append(UInt8(ascii: ",")) }
  }

  @inlinable
  mutating func appendQuoted(_ text: String) {
    buffer.append(UInt8(ascii: "\""))
    let characters = text.utf8.span
    if isPlain(characters) {
      buffer.append(characters)
    } else {
      for index in characters.indices { appendEscaped(characters[index]) }
    }
    buffer.append(UInt8(ascii: "\""))
  }

  @usableFromInline
  mutating func appendEscaped(_ byte: UInt8) {
    if !needsEscape(byte) {
      buffer.append(byte)
      return
    }
    buffer.append(UInt8(ascii: "\\"))
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): buffer.append(byte)
    case 0x0A: buffer.append(UInt8(ascii: "n"))
    case 0x0D: buffer.append(UInt8(ascii: "r"))
    case 0x09: buffer.append(UInt8(ascii: "t"))
    default:
      var digits = Array("u00".utf8)
      appendHex(byte, to: &digits)
      buffer.append(digits.span)
    }
  }
}

/// Returns whether the text needs no escapes, which is true of nearly all texts.
@inlinable @inline(__always)
func isPlain(_ text: Span<UInt8>) -> Bool {
  for index in text.indices where needsEscape(text[index]) { return false }
  return true
}

@inlinable @inline(__always)
func needsEscape(_ byte: UInt8) -> Bool {
  byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
}
