/// Reads JSON (RFC 8259) item by item.
public struct JSONScanner: DocumentScanner {
  public let bytes: [UInt8]
  private let end: Int
  public private(set) var position: Int
  private var depth = 0

  /// Creates a scanner of the value that begins at `position`; the input ends at `end`.
  public init(_ bytes: [UInt8], from position: Int = 0, to end: Int? = nil) {
    self.bytes = bytes
    self.position = position
    self.end = min(end ?? bytes.count, bytes.count)
  }

  /// Skips blanks and line ends, and returns whether a byte follows.
  public mutating func skipBlanks() -> Bool {
    while position < end {
      let byte = bytes[position]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return true }
      position += 1
    }
    return false
  }

  @inline(__always)
  private mutating func next() throws(ScanError) -> UInt8 {
    guard position < end else { throw .truncated }
    let byte = bytes[position]
    if byte > 0x20 { return byte }
    guard skipBlanks() else { throw .truncated }
    return bytes[position]
  }

  public mutating func kind() throws(ScanError) -> ItemKind {
    switch try next() {
    case UInt8(ascii: "{"): .map
    case UInt8(ascii: "["): .list
    case UInt8(ascii: "\""): .text
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): .number
    case UInt8(ascii: "n"): .null
    default: .other
    }
  }

  public mutating func beginMap() throws(ScanError) -> Container { try open(UInt8(ascii: "{"), "an object") }
  public mutating func beginList() throws(ScanError) -> Container { try open(UInt8(ascii: "["), "an array") }

  private mutating func open(_ bracket: UInt8, _ name: StaticString) throws(ScanError) -> Container {
    guard try next() == bracket else { throw malformed("expected \(name)") }
    position += 1
    depth += 1
    guard depth <= Self.maximumDepth else { throw malformed("nested more than 64 levels deep") }
    return Container()
  }

  /// Moves to the next item of a map or list; returns false at its end.
  @inline(__always)
  private mutating func advance(_ container: inout Container, to bracket: UInt8) throws(ScanError) -> Bool {
    let byte = try next()
    if byte == bracket {
      position += 1
      depth -= 1
      return false
    }
    if !container.isFirst {
      guard byte == UInt8(ascii: ",") else { throw malformed("expected ',' or '\(UnicodeScalar(bracket))'") }
      position += 1
    }
    container.isFirst = false
    return true
  }

  public mutating func nextKey(of map: inout Container) throws(ScanError) -> TextRange? {
    guard try advance(&map, to: UInt8(ascii: "}")) else { return nil }
    let key = try text()
    guard try next() == UInt8(ascii: ":") else { throw malformed("expected ':'") }
    position += 1
    return key
  }

  public mutating func nextElement(of list: inout Container) throws(ScanError) -> Bool {
    try advance(&list, to: UInt8(ascii: "]"))
  }

  public mutating func text() throws(ScanError) -> TextRange {
    guard try next() == UInt8(ascii: "\"") else { throw malformed("expected a string") }
    position += 1
    let start = position
    position = endOfPlainText(bytes, from: start, to: end)
    guard position < end, bytes[position] == UInt8(ascii: "\"") else { return try escapedText(from: start) }
    position += 1
    return TextRange(start: start, end: position - 1)
  }

  /// Reads the rest of a text that begins at `start`. Unless the text is malformed, an escape is at `position`.
  private mutating func escapedText(from start: Int) throws(ScanError) -> TextRange {
    while true {
      guard position < end else { throw .truncated }
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return TextRange(start: start, end: position - 1, hasEscapes: true)
      case UInt8(ascii: "\\"):
        position += 1
        try checkEscape()
      default: throw malformed("a control character in a string must be escaped")
      }
      position = endOfPlainText(bytes, from: position, to: end)
    }
  }

  public func equals(_ text: TextRange, _ word: StaticString) -> Bool {
    guard text.hasEscapes else { return isEqual(text, of: bytes, word) }
    // Names hardly ever have escapes.
    guard let unescaped = try? unescaped(text) else { return false }
    return unescaped.elementsEqual(word.description.utf8)
  }

  /// Checks the character after a backslash. The digits of `\u` are checked when the text is decoded.
  private mutating func checkEscape() throws(ScanError) {
    guard position < end else { throw .truncated }
    switch UnicodeScalar(bytes[position]) {
    case "\"", "\\", "/", "b", "f", "n", "r", "t", "u": position += 1
    default: throw malformed("invalid escape")
    }
  }

  public mutating func number() throws(ScanError) -> ScannedNumber {
    _ = try next()
    let start = position
    var value = UInt64(0)
    var isExact = true
    if bytes[position] == UInt8(ascii: "-") {
      position += 1
      isExact = false
    }
    let firstDigit = position
    while position < end, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      if overflow || carry { isExact = false }
      value = sum
      position += 1
    }
    guard position < end else { throw .truncated }
    let digits = position - firstDigit
    guard digits > 0 else { throw malformed("expected a value") }
    if digits > 1, bytes[firstDigit] == UInt8(ascii: "0") {
      throw malformed("a number must not have leading zeros")
    }
    let byte = bytes[position]
    if byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e") {
      try fraction()
      isExact = false
    }
    if isExact { return .integer(value) }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let real = Double(text) else { throw .malformed(offset: start, reason: "not a number") }
    return .real(real)
  }

  private mutating func fraction() throws(ScanError) {
    if bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits("expected a digit after the decimal point")
    }
    guard position < end else { throw .truncated }
    guard bytes[position] | 0x20 == UInt8(ascii: "e") else { return }
    position += 1
    guard position < end else { throw .truncated }
    if bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
    try digits("expected a digit in the exponent")
  }

  private mutating func digits(_ reason: String) throws(ScanError) {
    let start = position
    while position < end, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
    guard position < end else { throw .truncated }
    guard position > start else { throw malformed(reason) }
  }

  public mutating func skip() throws(ScanError) {
    switch try kind() {
    case .map:
      var map = try beginMap()
      while try nextKey(of: &map) != nil { try skip() }
    case .list:
      var list = try beginList()
      while try nextElement(of: &list) { try skip() }
    case .text: _ = try text()
    case .number: _ = try number()
    case .null: try word("null")
    case .other: _ = try boolean()
    }
  }

  public mutating func boolean() throws(ScanError) -> Bool {
    let isTrue = try next() == UInt8(ascii: "t")
    try word(isTrue ? "true" : "false")
    return isTrue
  }

  public mutating func isAtEnd() -> Bool { !skipBlanks() }

  public mutating func null() throws(ScanError) { try word("null") }

  private mutating func word(_ word: String) throws(ScanError) {
    _ = try next()
    for byte in word.utf8 {
      guard position < end else { throw .truncated }
      guard bytes[position] == byte else { throw malformed("expected a value") }
      position += 1
    }
  }
}
