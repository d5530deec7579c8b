import WireFormats

/// One request and the answer to it; the seam between what is asked of AWS and how it gets there.
package protocol HTTPExchange: AnyObject {
  /// The answer to `request`, whatever its status.
  ///
  /// Takes at most `timeout`, name resolution, connection and TLS included.
  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse

  /// Closes the connections that are open, and forgets TLS sessions and certificates: the next request reads them again.
  func disconnect()
}

extension HTTPExchange {
  package func disconnect() {}
}

/// An HTTP request: what it says, not how it travels.
package struct HTTPRequest: Sendable {
  package var method: String
  /// `http://` or `https://`, host, path and query, percent-encoded as they shall appear on the wire.
  package var url: String
  /// Sent as they are; no header is added but `Host` and `Content-Length`.
  package var headers: [HTTPHeader]
  package var body: [UInt8]

  package init(method: String, url: String, headers: [HTTPHeader] = [], body: [UInt8] = []) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

/// A header field of a request or a response (RFC 9110, section 5).
package typealias HTTPHeader = (name: String, value: String)

/// An HTTP response, complete.
package struct HTTPResponse: Sendable {
  package let status: Int
  package let body: [UInt8]
  private let fields: HeaderFields

  package init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = []) {
    var fields = HeaderFields()
    for (name, value) in headers {
      let line = Array("\(name):\(value)".utf8)
      fields.append(line.span)
    }
    self.init(status: status, fields: fields, body: body)
  }

  init(status: Int, fields: HeaderFields, body: [UInt8]) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// All header fields, in order.
  package var headers: [HTTPHeader] { fields.all }

  /// The first value of the header called `name`, in whatever case; nil where there is none.
  package func header(_ name: String) -> String? { fields.first(name) }

  package var isSuccess: Bool { (200..<300).contains(status) }
}

/// Header fields as they came: most of an answer's are never asked for, so a string is made of those that are.
struct HeaderFields: Sendable {
  private var bytes: [UInt8] = []
  /// Where each line ends in ``bytes``, and its colon is.
  private var lines: [(colon: Int, end: Int)] = []

  /// Takes a line, its end included or not; one without a colon is no field.
  mutating func append(_ line: Span<UInt8>) {
    guard let colon = line.indices.first(where: { line[$0] == UInt8(ascii: ":") }) else { return }
    lines.append((bytes.count + colon, bytes.count + line.count))
    unsafe line.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    lines.removeAll(keepingCapacity: true)
  }

  var all: [HTTPHeader] {
    lines.indices.map { (text(start(of: $0)..<lines[$0].colon), value(of: $0)) }
  }

  /// The value of the first field called `name`, in whatever case.
  func first(_ name: String) -> String? {
    let wanted = name.utf8.span
    let line = lines.indices.first { index in
      let start = start(of: index)
      guard lines[index].colon - start == wanted.count else { return false }
      return wanted.indices.allSatisfy { lowerCased(bytes[start + $0]) == lowerCased(wanted[$0]) }
    }
    return line.map(value)
  }

  private func start(of line: Int) -> Int { line == 0 ? 0 : lines[line - 1].end }

  /// The value without the white space around it.
  private func value(of line: Int) -> String {
    var (start, end) = (lines[line].colon + 1, lines[line].end)
    while start < end, isSpace(bytes[start]) { start += 1 }
    while end > start, isSpace(bytes[end - 1]) { end -= 1 }
    return text(start..<end)
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  private func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
  }
}

/// Whether two header names are the same, ASCII case aside (RFC 9110, section 5.1).
package func isSameHeaderName(_ left: String, _ right: String) -> Bool {
  // By spans: a zipped pair of views took ten times as long, and a publish compares twenty names.
  let (left, right) = (left.utf8.span, right.utf8.span)
  guard left.count == right.count else { return false }
  for index in left.indices where lowerCased(left[index]) != lowerCased(right[index]) { return false }
  return true
}
