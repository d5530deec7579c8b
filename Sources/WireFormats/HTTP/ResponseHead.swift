/// The status line and the header fields of an HTTP/1.1 response (RFC 9112, sections 4 and 5).
///
/// Parsing is stricter than the RFC for safety: lines must end in CRLF, folded lines are rejected, and the only control character
/// allowed in a field is the tab.
package struct ResponseHead: Equatable, Sendable {
  private typealias Field = HeaderFields.Place

  /// How the end of the body is determined.
  package enum Framing: Equatable, Sendable {
    case none
    case length(Int)
    case chunked
    case untilClose
  }

  package let status: Int
  /// Whether the connection can be used for another request after this response.
  package private(set) var keepsConnection: Bool
  package private(set) var framing: Framing
  package let fields: HeaderFields

  /// Parses a head. `bytes` includes the empty line at the end.
  package init(parsing bytes: [UInt8]) throws(ResponseHeadError) {
    let end = lineEnd(in: bytes)
    let (status, minorVersion) = try statusLine(bytes, end: end)
    self.status = status
    keepsConnection = minorVersion == 1
    framing = .untilClose
    var fields = HeaderFields(in: bytes)
    var start = end + 2
    while start < bytes.count, bytes[start] != 0x0D {
      guard fields.places.count < 128 else { throw .fields("more than 128 header fields") }
      fields.append(try Self.field(bytes, &start, number: fields.places.count + 1))
    }
    guard start + 2 == bytes.count, bytes[start + 1] == 0x0A else {
      throw .fields("the head doesn't end in an empty line")
    }
    self.fields = fields
    try readFraming()
  }

  /// Creates a head without fields and without a body, for tests.
  package init() {
    (status, keepsConnection, framing, fields) = (200, true, .none, HeaderFields())
  }

  /// Creates a head with the given fields, for tests.
  package init(status: Int = 200, fields list: [HeaderField]) throws(ResponseHeadError) {
    var text = "HTTP/1.1 \(status) \r\n"
    for field in list { text += "\(field.name): \(field.value)\r\n" }
    try self.init(parsing: Array((text + "\r\n").utf8))
  }

  /// The value of the first field called `name`, ignoring case; nil if there is none. Invalid UTF-8 is replaced.
  package subscript(_ name: StaticString) -> String? {
    value(name).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Returns the bytes of the first field called `name`, ignoring case; nil if there is none.
  package func value(_ name: StaticString) -> ArraySlice<UInt8>? { fields.value(name) }

  /// Returns the values of all fields called `name`, ignoring case, in the order received.
  package func values(_ name: StaticString) -> [String] { fields.values(name) }

  /// Determines how the body ends and whether the connection persists (RFC 9112, sections 6.3 and 9.3).
  private mutating func readFraming() throws(ResponseHeadError) {
    var length: Field?
    var coding: Field?
    let bytes = fields.bytes
    for field in fields.places {
      switch field.name.count {
      case 10 where fields.equals(field.name, "Connection"):
        if fields.equals(field.value, "close") { keepsConnection = false }
        if fields.equals(field.value, "keep-alive") { keepsConnection = true }
      case 14 where fields.equals(field.name, "Content-Length"):
        if let length, bytes[length.value] != bytes[field.value] {
          throw .framing("two different Content-Length fields")
        }
        length = field
      case 17 where fields.equals(field.name, "Transfer-Encoding"):
        if coding != nil { throw .framing("two Transfer-Encoding fields") }
        coding = field
      default: break
      }
    }
    guard length == nil || coding == nil else {
      throw .framing("both Content-Length and Transfer-Encoding")
    }
    if status < 200 || status == 204 || status == 304 {
      framing = .none
    } else if let coding {
      guard fields.equals(coding.value, "chunked") else {
        throw .framing("Transfer-Encoding is '\(fields.text(coding.value))'; only 'chunked' is supported")
      }
      framing = .chunked
    } else if let length {
      guard let count = decimal(bytes[length.value]) else {
        throw .framing("Content-Length is '\(fields.text(length.value))', not a number of bytes")
      }
      framing = .length(count)
    } else {
      framing = .untilClose
      keepsConnection = false
    }
  }

  /// Parses the field line at `start` and moves `start` to the next line.
  private static func field(
    _ bytes: [UInt8], _ start: inout Int, number: Int
  ) throws(ResponseHeadError) -> Field {
    var index = start
    while index < bytes.count, isTokenCharacter(bytes[index]) { index += 1 }
    guard index > start, index < bytes.count, bytes[index] == UInt8(ascii: ":") else {
      throw .fields("header field \(number) has no valid name")
    }
    let name = start..<index
    index += 1
    while index < bytes.count, isBlank(bytes[index]) { index += 1 }
    let end = firstPosition(of: 0x0D, in: bytes, from: index)
    guard !holdControlCharacter(bytes, at: index..<(end ?? bytes.count)) else {
      throw .fields("header field \(number) contains a control character")
    }
    guard let end else { throw .fields("header field \(number) has no line end") }
    guard end + 1 < bytes.count, bytes[end + 1] == 0x0A else {
      throw .fields("header field \(number) contains a control character")
    }
    start = end + 2
    var valueEnd = end
    while valueEnd > index, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
    return Field(name: name, value: index..<valueEnd)
  }
}

/// Parses the status and the minor version in a line such as `HTTP/1.1 200 OK`.
private func statusLine(_ bytes: [UInt8], end: Int) throws(ResponseHeadError) -> (
  status: Int, minorVersion: Int
) {
  guard end >= 12, bytes.starts(with: "HTTP/1.".utf8),
    bytes[7] == UInt8(ascii: "0") || bytes[7] == UInt8(ascii: "1"),
    bytes[8] == UInt8(ascii: " "), end == 12 || bytes[12] == UInt8(ascii: " ")
  else { throw .statusLine("invalid status line '\(excerpt(bytes, end: end))'") }
  var status = 0
  for digit in bytes[9..<12] {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else {
      throw .statusLine("invalid status line '\(excerpt(bytes, end: end))'")
    }
    status = status * 10 + Int(digit - UInt8(ascii: "0"))
  }
  guard status >= 100 else { throw .statusLine("the status is \(status), which is less than 100") }
  return (status, Int(bytes[7] - UInt8(ascii: "0")))
}

/// Returns the position of the first CRLF; the number of bytes if there is none.
private func lineEnd(in bytes: [UInt8]) -> Int {
  var start = 0
  while let index = firstPosition(of: 0x0D, in: bytes, from: start) {
    if index + 1 < bytes.count, bytes[index + 1] == 0x0A { return index }
    start = index + 1
  }
  return bytes.count
}

/// Parses decimal digits. Returns nil if there are none, if another character occurs, or if the number overflows.
package func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
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

private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

/// Returns whether a field name may contain `byte` (RFC 9110, section 5.6.2).
package func isTokenCharacter(_ byte: UInt8) -> Bool {
  // One bit for each ASCII character: ! # $ % & ' * + - . 0-9, then A-Z ^ _ ` a-z | ~.
  let bits: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
  return byte < 128 && bits >> UInt64(byte & 63) & 1 == 1
}

/// The reason why bytes aren't the head of an HTTP/1.1 response.
package enum ResponseHeadError: Error, Equatable, Sendable, CustomStringConvertible {
  case statusLine(String)
  case fields(String)
  /// The head describes the end of the body in a contradictory or unsupported way.
  case framing(String)

  package var description: String {
    switch self {
    case .statusLine(let reason), .fields(let reason), .framing(let reason): reason
    }
  }
}
