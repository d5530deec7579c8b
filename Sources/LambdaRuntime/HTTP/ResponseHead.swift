/// The status line and the header fields of an HTTP/1.1 response (RFC 9112, sections 4 and 5).
///
/// Fields stay the bytes that came; a lookup makes a string of the one that is asked for. Stricter than the RFC where
/// that is safer: lines end in CRLF, nothing is folded, and no field holds a control character but the tab.
package struct ResponseHead: Equatable, Sendable {
  private struct Field: Equatable, Sendable {
    let name: Range<Int>
    let value: Range<Int>
  }

  /// How the end of the body is found.
  package enum Framing: Equatable, Sendable {
    case none
    case length(Int)
    case chunked
    case untilClose
  }

  package let status: Int
  /// Whether the connection serves another request after this response.
  package private(set) var keepsConnection: Bool
  package private(set) var framing: Framing
  private let bytes: [UInt8]
  private var fields: [Field] = []

  /// Reads a head, the empty line at its end included.
  package init(parsing bytes: [UInt8]) throws(ExchangeError) {
    self.bytes = bytes
    let end = lineEnd(in: bytes)
    let (status, minorVersion) = try statusLine(bytes, end: end)
    self.status = status
    keepsConnection = minorVersion == 1
    framing = .untilClose
    fields.reserveCapacity(16)
    var start = end + 2
    while start < bytes.count, bytes[start] != 0x0D {
      guard fields.count < 128 else { throw .malformed("more than 128 header fields") }
      fields.append(try Self.field(bytes, &start, number: fields.count + 1))
    }
    guard start + 2 == bytes.count, bytes[start + 1] == 0x0A else {
      throw .malformed("the head doesn't end in an empty line")
    }
    try readFraming()
  }

  /// A head with these fields, for tests of handlers and of what reads heads.
  package init(status: Int = 200, fields list: [(name: String, value: String)]) throws(ExchangeError) {
    var text = "HTTP/1.1 \(status) \r\n"
    for field in list { text += "\(field.name): \(field.value)\r\n" }
    try self.init(parsing: Array((text + "\r\n").utf8))
  }

  /// The value of the first field called `name`, in whatever case; ill-formed UTF-8 in it is repaired.
  package subscript(_ name: StaticString) -> String? {
    value(name).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes of what the subscript gives.
  func value(_ name: StaticString) -> ArraySlice<UInt8>? {
    for field in fields where matches(field, name) { return bytes[field.value] }
    return nil
  }

  /// The values of all fields called `name`, in the order in which they came.
  package func values(_ name: StaticString) -> [String] {
    fields.filter { matches($0, name) }.map { text($0.value) }
  }

  private func matches(_ field: Field, _ name: StaticString) -> Bool { equals(field.name, name) }

  /// Whether the bytes at `range` are `text`, in whatever case.
  private func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    // Lambda writes the names as its documentation does.
    if areEqual(bytes, at: range, to: text) { return true }
    return text.withUTF8Buffer { wanted in
      for (index, position) in range.enumerated() {
        if unsafe lowercased(bytes[position]) != lowercased(wanted[index]) { return false }
      }
      return true
    }
  }

  /// Finds out how the body ends and whether the connection lasts (RFC 9112, sections 6.3 and 9.3).
  private mutating func readFraming() throws(ExchangeError) {
    var length: Field?
    var coding: Field?
    for field in fields {
      switch field.name.count {
      case 10 where matches(field, "Connection"):
        if equals(field.value, "close") { keepsConnection = false }
        if equals(field.value, "keep-alive") { keepsConnection = true }
      case 14 where matches(field, "Content-Length"):
        if let length, bytes[length.value] != bytes[field.value] {
          throw .malformed("two lengths of the body")
        }
        length = field
      case 17 where matches(field, "Transfer-Encoding"):
        if coding != nil { throw .malformed("two transfer codings") }
        coding = field
      default: break
      }
    }
    guard length == nil || coding == nil else {
      throw .malformed("both Content-Length and Transfer-Encoding")
    }
    if status < 200 || status == 204 || status == 304 {
      framing = .none
    } else if let coding {
      guard equals(coding.value, "chunked") else {
        throw .malformed("Transfer-Encoding is '\(text(coding.value))', not 'chunked'")
      }
      framing = .chunked
    } else if let length {
      guard let count = decimal(bytes[length.value]) else {
        throw .malformed("Content-Length is '\(text(length.value))'")
      }
      framing = .length(count)
    } else {
      framing = .untilClose
      keepsConnection = false
    }
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// Reads the line at `start`, and moves `start` to the next one.
  private static func field(
    _ bytes: [UInt8], _ start: inout Int, number: Int
  ) throws(ExchangeError) -> Field {
    var index = start
    while index < bytes.count, isTokenCharacter(bytes[index]) { index += 1 }
    guard index > start, index < bytes.count, bytes[index] == UInt8(ascii: ":") else {
      throw .malformed("header field \(number) has no name")
    }
    let name = start..<index
    index += 1
    while index < bytes.count, isBlank(bytes[index]) { index += 1 }
    let end = firstPosition(of: 0x0D, in: bytes, from: index)
    guard !holdControlCharacter(bytes, at: index..<(end ?? bytes.count)) else {
      throw .malformed("header field \(number) holds a control character")
    }
    guard let end else { throw .malformed("header field \(number) has no end") }
    guard end + 1 < bytes.count, bytes[end + 1] == 0x0A else {
      throw .malformed("header field \(number) holds a control character")
    }
    start = end + 2
    var valueEnd = end
    while valueEnd > index, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
    return Field(name: name, value: index..<valueEnd)
  }
}

/// The status and the minor version of a line such as `HTTP/1.1 200 OK`.
private func statusLine(_ bytes: [UInt8], end: Int) throws(ExchangeError) -> (status: Int, minorVersion: Int)
{
  guard end >= 12, bytes.starts(with: "HTTP/1.".utf8),
    bytes[7] == UInt8(ascii: "0") || bytes[7] == UInt8(ascii: "1"),
    bytes[8] == UInt8(ascii: " "), end == 12 || bytes[12] == UInt8(ascii: " ")
  else { throw .malformed("the status line is '\(excerpt(bytes, end: end))'") }
  var status = 0
  for digit in bytes[9..<12] {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else {
      throw .malformed("the status line is '\(excerpt(bytes, end: end))'")
    }
    status = status * 10 + Int(digit - UInt8(ascii: "0"))
  }
  guard status >= 100 else { throw .malformed("the status is \(status)") }
  return (status, Int(bytes[7] - UInt8(ascii: "0")))
}

/// The position of the first CRLF, or the end of the bytes.
private func lineEnd(in bytes: [UInt8]) -> Int {
  var start = 0
  while let index = firstPosition(of: 0x0D, in: bytes, from: start) {
    if index + 1 < bytes.count, bytes[index + 1] == 0x0A { return index }
    start = index + 1
  }
  return bytes.count
}

/// A number of decimal digits only; nil where there is another character, none, or more than fit.
func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
  var value = 0
  for digit in digits {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), value < Int.max / 10 - 1 else {
      return nil
    }
    value = value * 10 + Int(digit - UInt8(ascii: "0"))
  }
  return digits.isEmpty ? nil : value
}

private func excerpt(_ bytes: [UInt8], end: Int) -> String {
  String(decoding: bytes[..<min(end, 40)], as: UTF8.self)
}

private func lowercased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

/// Whether a field name may hold `byte` (RFC 9110, section 5.6.2).
private func isTokenCharacter(_ byte: UInt8) -> Bool {
  // One bit for each character of ASCII: ! # $ % & ' * + - . 0-9, then A-Z ^ _ ` a-z | ~.
  let bits: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
  return byte < 128 && bits >> UInt64(byte & 63) & 1 == 1
}
