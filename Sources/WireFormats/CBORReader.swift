/// An error in CBOR input.
package struct CBORError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The number of bytes before the error.
  package let offset: Int
  package let reason: String

  package var description: String { "not CBOR at byte \(offset): \(reason)" }
}

extension JSONValue {
  /// Parses `bytes`, which must be a single CBOR data item (RFC 8949), and converts it to JSON.
  ///
  /// Accepts only data that JSON can represent: map keys must be text or integers, a byte string becomes Base64 (section 6.1), and
  /// tags are ignored. The maximum nesting depth is 64.
  package init(parsingCBOR bytes: [UInt8]) throws(CBORError) {
    var reader = CBORReader(bytes: bytes)
    let value = try reader.value(depth: 0)
    guard reader.position == bytes.count else { throw reader.error("unexpected data after the value") }
    self = value
  }
}

private struct CBORReader {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The head of a data item (section 3). The argument is nil if the length is indefinite.
  private struct Head {
    let majorType: UInt8
    let additionalInformation: UInt8
    let argument: UInt64?
  }

  mutating func value(depth: Int) throws(CBORError) -> JSONValue {
    guard depth <= 64 else { throw error("nested more than 64 levels deep") }
    let head = try head()
    switch head.majorType {
    case 0: return .number(String(try length(head)))
    case 1: return negative(try length(head))
    case 2: return .string(base64(try chunks(head)))
    case 3: return .string(try text(try chunks(head)))
    case 4: return .array(try elements(head.argument, depth: depth))
    case 5: return .object(try members(head.argument, depth: depth))
    case 6:
      guard head.argument != nil else { throw error("a tag of indefinite length") }
      return try value(depth: depth + 1)
    default: return try simpleOrFloat(head)
    }
  }

  private mutating func head() throws(CBORError) -> Head {
    let initial = try byte()
    let information = initial & 0x1F
    let argument: UInt64?
    switch information {
    case 0..<24: argument = UInt64(information)
    case 24...27:
      var number: UInt64 = 0
      for _ in 0..<(1 << (information - 24)) { number = number << 8 | UInt64(try byte()) }
      argument = number
    case 31: argument = nil
    default: throw error("the additional information \(information) is reserved")
    }
    return Head(majorType: initial >> 5, additionalInformation: information, argument: argument)
  }

  private func length(_ head: Head) throws(CBORError) -> UInt64 {
    guard let argument = head.argument else { throw error("a number of indefinite length") }
    return argument
  }

  private func negative(_ argument: UInt64) -> JSONValue {
    // The value is -1 - argument, which may not fit in 64 bits.
    argument == .max ? .number("-18446744073709551616") : .number("-\(argument + 1)")
  }

  /// Reads the bytes of a string: one definite-length string, or several if the length is indefinite (section 3.2.3).
  private mutating func chunks(_ head: Head) throws(CBORError) -> [UInt8] {
    if let count = head.argument { return try take(count) }
    var all: [UInt8] = []
    while try !atBreak() {
      let chunk = try self.head()
      guard chunk.majorType == head.majorType, let count = chunk.argument else {
        throw error("a chunk of a string isn't a string of definite length")
      }
      all += try take(count)
    }
    return all
  }

  private mutating func take(_ count: UInt64) throws(CBORError) -> [UInt8] {
    guard count <= UInt64(bytes.count - position) else { throw error("truncated string") }
    let start = position
    position += Int(count)
    return Array(bytes[start..<position])
  }

  private func text(_ bytes: [UInt8]) throws(CBORError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw error("the text isn't UTF-8") }
    return text
  }

  private mutating func elements(_ count: UInt64?, depth: Int) throws(CBORError) -> [JSONValue] {
    var elements: [JSONValue] = []
    // Each element takes at least one byte, so a wrong count ends with the data.
    while try hasMore(than: elements.count, of: count) { elements.append(try value(depth: depth + 1)) }
    return elements
  }

  private mutating func members(_ count: UInt64?, depth: Int) throws(CBORError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    while try hasMore(than: members.count, of: count) {
      let name: String
      switch try value(depth: depth + 1) {
      case .string(let text), .number(let text): name = text
      case let other: throw error("a map key is \(other.kind), but must be text or an integer")
      }
      members.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
    }
    return members
  }

  private mutating func hasMore(than read: Int, of count: UInt64?) throws(CBORError) -> Bool {
    guard let count else { return try !atBreak() }
    return UInt64(read) < count
  }

  private mutating func simpleOrFloat(_ head: Head) throws(CBORError) -> JSONValue {
    guard let argument = head.argument else { throw error("a break outside of an indefinite-length item") }
    switch (head.additionalInformation, argument) {
    case (0..<25, 20): return .boolean(false)
    case (0..<25, 21): return .boolean(true)
    case (0..<25, 22), (0..<25, 23): return .null
    case (25, _): return number(Double(binary16: UInt16(truncatingIfNeeded: argument)))
    case (26, _): return number(Double(Float(bitPattern: UInt32(truncatingIfNeeded: argument))))
    case (27, _): return number(Double(bitPattern: argument))
    default: throw error("the simple value \(argument) isn't supported")
    }
  }

  private func number(_ value: Double) -> JSONValue {
    guard value.isFinite else { return .null }
    return .number("\(value)")
  }

  private mutating func atBreak() throws(CBORError) -> Bool {
    guard position < bytes.count else { throw error("unexpected end, expected a break") }
    guard bytes[position] == 0xFF else { return false }
    position += 1
    return true
  }

  private mutating func byte() throws(CBORError) -> UInt8 {
    guard position < bytes.count else { throw error("unexpected end, expected a value") }
    defer { position += 1 }
    return bytes[position]
  }

  func error(_ reason: String) -> CBORError { CBORError(offset: position, reason: reason) }
}

extension Double {
  /// Decodes a 16-bit float (RFC 8949, section 3.3; IEEE 754 binary16).
  package init(binary16 bits: UInt16) {
    let fraction = Double(bits & 0x3FF)
    let magnitude: Double =
      switch bits >> 10 & 0x1F {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      case let exponent:
        (fraction + 1_024) * Double(sign: .plus, exponent: Int(exponent) - 25, significand: 1)
      }
    self = bits & 0x8000 == 0 ? magnitude : -magnitude
  }
}
