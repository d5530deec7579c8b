/// One request and the answer to it; the seam between what is asked of AWS and how it gets there.
package protocol HTTPExchange: AnyObject {
  /// The answer to `request`, whatever its status.
  ///
  /// Takes at most `timeout`, name resolution, connection and TLS included.
  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse
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
  package let headers: [HTTPHeader]
  package let body: [UInt8]

  package init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The first value of the header called `name`, in whatever case; nil where there is none.
  package func header(_ name: String) -> String? {
    headers.first { isSameHeaderName($0.name, name) }?.value
  }

  /// Every value of the header called `name`, in order.
  package func allValues(of name: String) -> [String] {
    headers.filter { isSameHeaderName($0.name, name) }.map(\.value)
  }

  package var isSuccess: Bool { (200..<300).contains(status) }
}

/// Whether two header names are the same, ASCII case aside (RFC 9110, section 5.1).
package func isSameHeaderName(_ left: String, _ right: String) -> Bool {
  // By spans: a zipped pair of views took ten times as long, and a publish compares twenty names.
  let (left, right) = (left.utf8.span, right.utf8.span)
  guard left.count == right.count else { return false }
  for index in left.indices where lowerCased(left[index]) != lowerCased(right[index]) { return false }
  return true
}

private func lowerCased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
