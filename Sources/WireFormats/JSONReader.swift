/// An error in JSON input.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The number of bytes before the error.
  package let offset: Int
  package let reason: String

  package var description: String { "not JSON at byte \(offset): \(reason)" }

  /// Whether RFC 8259 allows what this reader rejects. What follows in the input may be malformed nevertheless.
  package var isStricterThanRFC: Bool {
    ["duplicate member", "unpaired surrogate", "nested more than"].contains { reason.hasPrefix($0) }
  }
}

extension JSONValue {
  /// Parses `bytes`, which must be a single JSON value (RFC 8259).
  ///
  /// Parsing is stricter than the RFC for safety: only UTF-8, no lone surrogates, no duplicate members, and a maximum nesting depth
  /// of 64, so that no input can exhaust the stack.
  package init(parsing bytes: [UInt8]) throws(JSONError) {
    var reader = JSONReader(bytes)
    self = try reader.document()
  }
}

private struct JSONReader {
  private let bytes: [UInt8]
  private var position = 0

  private static let fewNames = 12

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value(depth: 0)
    skipWhitespace()
    guard position == bytes.count else { throw error("unexpected data after the value") }
    return value
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= 64 else { throw error("nested more than 64 levels deep") }
    skipWhitespace()
    switch peek {
    case nil: throw error("unexpected end, expected a value")
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .boolean(true))
    case UInt8(ascii: "f"): return try word("false", .boolean(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var members: [JSONValue.Member] = []
    // Of a large object only: comparing with a few names is faster than hashing them.
    var names: Set<String> = []
    skipWhitespace()
    if consume(UInt8(ascii: "}")) { return .object([]) }
    while true {
      skipWhitespace()
      guard peek == UInt8(ascii: "\"") else { throw error("expected a member name") }
      let start = position
      let name = try string()
      if members.count == Self.fewNames { names = Set(members.map(\.name)) }
      let isNew =
        members.count < Self.fewNames
        ? !members.contains { $0.name == name } : names.insert(name).inserted
      guard isNew else {
        throw JSONError(offset: start, reason: "duplicate member '\(name)'")
      }
      skipWhitespace()
      guard consume(UInt8(ascii: ":")) else { throw error("expected ':'") }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
      skipWhitespace()
      if consume(UInt8(ascii: "}")) { return .object(members) }
      guard consume(UInt8(ascii: ",")) else { throw error("expected ',' or '}'") }
    }
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipWhitespace()
    if consume(UInt8(ascii: "]")) { return .array([]) }
    while true {
      elements.append(try value(depth: depth + 1))
      skipWhitespace()
      if consume(UInt8(ascii: "]")) { return .array(elements) }
      guard consume(UInt8(ascii: ",")) else { throw error("expected ',' or ']'") }
    }
  }

  private mutating func string() throws(JSONError) -> String {
    let start = position
    position += 1
    var text: [UInt8] = []
    while true {
      let run = position
      skipPlainCharacters()
      guard let byte = peek else { throw JSONError(offset: start, reason: "unterminated string") }
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        let rest = bytes[run..<position - 1]
        let valid: String?
        if text.isEmpty {
          valid = String(validating: rest, as: UTF8.self)
        } else {
          text += rest
          valid = String(validating: text, as: UTF8.self)
        }
        guard let valid else { throw JSONError(offset: start, reason: "the string isn't UTF-8") }
        return valid
      case UInt8(ascii: "\\"):
        text += bytes[run..<position]
        position += 1
        try escape(&text)
      default:
        throw error("a control character in a string must be escaped")
      }
    }
  }

  /// Moves to the next quotation mark, backslash or control character.
  private mutating func skipPlainCharacters() {
    var end = position
    while end < bytes.count {
      let byte = bytes[end]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
      end += 1
    }
    position = end
  }

  /// Appends the character that an escape stands for.
  private mutating func escape(_ text: inout [UInt8]) throws(JSONError) {
    let start = position - 1
    guard let byte = peek else { throw error("unexpected end in an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return text.append(byte)
    case UInt8(ascii: "b"): return text.append(0x08)
    case UInt8(ascii: "f"): return text.append(0x0C)
    case UInt8(ascii: "n"): return text.append(0x0A)
    case UInt8(ascii: "r"): return text.append(0x0D)
    case UInt8(ascii: "t"): return text.append(0x09)
    case UInt8(ascii: "u"): break
    default: throw JSONError(offset: start, reason: "invalid escape")
    }
    var code = UInt32(try codeUnit())
    if (0xD800..<0xDC00).contains(code) {
      guard consume(UInt8(ascii: "\\")), consume(UInt8(ascii: "u")) else {
        throw JSONError(offset: start, reason: "unpaired surrogate")
      }
      let low = UInt32(try codeUnit())
      guard (0xDC00..<0xE000).contains(low) else {
        throw JSONError(offset: start, reason: "unpaired surrogate")
      }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = UnicodeScalar(code) else {
      throw JSONError(offset: start, reason: "unpaired surrogate")
    }
    if let encoded = UTF8.encode(scalar) { text += encoded }
  }

  private mutating func codeUnit() throws(JSONError) -> UInt16 {
    var code = UInt16(0)
    for _ in 0..<4 {
      guard let digit = peek.flatMap(hexDigitValue) else {
        throw error("expected four hexadecimal digits")
      }
      code = code << 4 | UInt16(digit)
      position += 1
    }
    return code
  }

  private mutating func number() throws(JSONError) -> String {
    let start = position
    _ = consume(UInt8(ascii: "-"))
    if consume(UInt8(ascii: "0")) {
      if peek.map(isDigit) == true { throw error("a number must not have leading zeros") }
    } else {
      guard digits() > 0 else { throw error("expected a value") }
    }
    if consume(UInt8(ascii: ".")), digits() == 0 { throw error("expected a digit after the decimal point") }
    if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
      if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
      if digits() == 0 { throw error("expected a digit in the exponent") }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() -> Int {
    let start = position
    while peek.map(isDigit) == true { position += 1 }
    return position - start
  }

  private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let start = position
    for byte in word.utf8 {
      guard consume(byte) else { throw JSONError(offset: start, reason: "expected a value") }
    }
    return value
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func consume(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipWhitespace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private func error(_ reason: String) -> JSONError { JSONError(offset: position, reason: reason) }
}
