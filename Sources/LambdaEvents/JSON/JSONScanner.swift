import WireFormats

/// Finds the structure of a JSON text (RFC 8259) in one pass, without decoding its strings and numbers.
///
/// An event has many more members than a function uses, so each is decoded only if it is used. It isn't recursive, so that
/// no input can exhaust the stack.
struct JSONScanner {
  /// The nesting depth that is rejected. Foundation's decoder has the same limit.
  static let maximumDepth = 512

  private(set) var nodes: [JSONNode] = []
  /// The indices of the objects and arrays that haven't ended.
  private var open: [Int] = []
  private var position = 0

  init(capacity: Int) {
    nodes.reserveCapacity(capacity)
  }

  /// Scans `text`, which must be a single JSON value in UTF-8.
  mutating func scan(_ text: Span<UInt8>) throws(EventError) {
    guard text.count < Int(UInt32.max) else {
      throw EventError(path: "", problem: "is longer than 4 GiB, which isn't supported")
    }
    var hasMore = true
    while hasMore {
      let isOpen = try value(text)
      hasMore = try isOpen ? begin(text) : advance(text)
    }
    guard position == text.count else { throw error("unexpected data after the value") }
  }

  /// Scans a scalar, or the bracket that opens an object or an array. Returns whether it was a bracket.
  private mutating func value(_ text: Span<UInt8>) throws(EventError) -> Bool {
    skipBlanks(text)
    guard position < text.count else { throw error("unexpected end, expected a value") }
    switch text[position] {
    case UInt8(ascii: "{"): return try open(.object)
    case UInt8(ascii: "["): return try open(.array)
    case UInt8(ascii: "\""): try string(text)
    case UInt8(ascii: "t"): try word("true", .boolean, text)
    case UInt8(ascii: "f"): try word("false", .boolean, text)
    case UInt8(ascii: "n"): try word("null", .null, text)
    default: try number(text)
    }
    return false
  }

  private mutating func open(_ kind: JSON.Kind) throws(EventError) -> Bool {
    guard open.count < Self.maximumDepth else {
      throw error("nested more than \(Self.maximumDepth) levels deep")
    }
    open.append(nodes.count)
    append(kind, from: position)
    position += 1
    return true
  }

  /// Scans what follows an opening bracket. Returns whether a value follows.
  private mutating func begin(_ text: Span<UInt8>) throws(EventError) -> Bool {
    skipBlanks(text)
    guard let container = open.last else { return false }
    let isObject = nodes[container].kind == .object
    if consume(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), text) {
      close(container)
      return try advance(text)
    }
    if isObject { try name(text) }
    return true
  }

  /// Scans what follows a value: brackets that close, and a comma. Returns whether another value follows.
  private mutating func advance(_ text: Span<UInt8>) throws(EventError) -> Bool {
    skipBlanks(text)
    while let container = open.last {
      let isObject = nodes[container].kind == .object
      if consume(UInt8(ascii: ","), text) {
        if isObject {
          skipBlanks(text)
          try name(text)
        }
        return true
      }
      guard consume(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), text) else {
        throw error(isObject ? "expected ',' or '}'" : "expected ',' or ']'")
      }
      close(container)
      skipBlanks(text)
    }
    return false
  }

  private mutating func close(_ container: Int) {
    nodes[container].end = UInt32(position)
    nodes[container].next = UInt32(nodes.count)
    open.removeLast()
  }

  /// Scans a member name and the colon after it.
  private mutating func name(_ text: Span<UInt8>) throws(EventError) {
    guard position < text.count, text[position] == UInt8(ascii: "\"") else {
      throw error("expected a member name")
    }
    try string(text)
    skipBlanks(text)
    guard consume(UInt8(ascii: ":"), text) else { throw error("expected ':'") }
  }

  private mutating func string(_ text: Span<UInt8>) throws(EventError) {
    let start = position
    var hasEscapes = false
    position += 1
    while position < text.count {
      let byte = text[position]
      if byte == UInt8(ascii: "\"") {
        position += 1
        append(.string, from: start, hasEscapes: hasEscapes)
        return
      }
      if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        try escape(text)
      } else if byte < 0x20 {
        throw error("a control character in a string must be escaped")
      } else {
        position += 1
      }
    }
    position = start
    throw error("unterminated string")
  }

  private mutating func escape(_ text: Span<UInt8>) throws(EventError) {
    guard position + 1 < text.count else { throw error("unexpected end in an escape") }
    switch text[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      position += 2
      for _ in 0..<4 {
        guard position < text.count, hexDigitValue(text[position]) != nil else {
          throw error("expected four hexadecimal digits")
        }
        position += 1
      }
    default: throw error("invalid escape")
    }
  }

  private mutating func number(_ text: Span<UInt8>) throws(EventError) {
    let start = position
    _ = consume(UInt8(ascii: "-"), text)
    if consume(UInt8(ascii: "0"), text) {
      if digits(text) > 0 { throw error("a number must not have leading zeros") }
    } else if digits(text) == 0 {
      throw error("expected a value")
    }
    if consume(UInt8(ascii: "."), text), digits(text) == 0 {
      throw error("expected a digit after the decimal point")
    }
    if consume(UInt8(ascii: "e"), text) || consume(UInt8(ascii: "E"), text) {
      if !consume(UInt8(ascii: "+"), text) { _ = consume(UInt8(ascii: "-"), text) }
      if digits(text) == 0 { throw error("expected a digit in the exponent") }
    }
    append(.number, from: start)
  }

  private mutating func digits(_ text: Span<UInt8>) -> Int {
    let start = position
    while position < text.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[position]) {
      position += 1
    }
    return position - start
  }

  private mutating func word(_ word: String, _ kind: JSON.Kind, _ text: Span<UInt8>) throws(EventError) {
    let start = position
    for letter in word.utf8 where !consume(letter, text) {
      position = start
      throw error("expected a value")
    }
    append(kind, from: start)
  }

  private mutating func append(_ kind: JSON.Kind, from start: Int, hasEscapes: Bool = false) {
    // Fits, because `scan` rejects longer texts, and each node has at least one byte.
    nodes.append(
      JSONNode(
        start: UInt32(start), end: UInt32(position), next: UInt32(nodes.count + 1), kind: kind,
        hasEscapes: hasEscapes))
  }

  private mutating func consume(_ byte: UInt8, _ text: Span<UInt8>) -> Bool {
    guard position < text.count, text[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipBlanks(_ text: Span<UInt8>) {
    while position < text.count {
      switch text[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  private func error(_ reason: String) -> EventError { EventError(malformedAt: position, reason) }
}
