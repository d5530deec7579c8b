package import WireFormats

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
  package var headers: [HeaderField]
  package var body: [UInt8]

  package init(method: String, url: String, headers: [HeaderField] = [], body: [UInt8] = []) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

/// An HTTP response, complete.
package struct HTTPResponse: Equatable, Sendable {
  package let status: Int
  package let body: [UInt8]
  private let fields: HeaderFields

  package init(status: Int, headers: [HeaderField] = [], body: [UInt8] = []) {
    var fields = HeaderFields()
    for field in headers {
      let line = Array("\(field.name):\(field.value)".utf8)
      fields.append(line: line.span)
    }
    self.init(status: status, fields: fields, body: body)
  }

  init(status: Int, fields: HeaderFields, body: [UInt8]) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// All header fields, in order.
  package var headers: [HeaderField] { fields.all }

  /// The value of the first header field called `name`; nil if there is none.
  package func header(_ name: HeaderName) -> String? { fields[name] }

  package var isSuccess: Bool { (200..<300).contains(status) }
}
