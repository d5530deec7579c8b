package import WireFormats

/// Performs HTTP requests: the seam between what is requested from AWS and how it is transported.
package protocol HTTPExchange: AnyObject {
  /// Returns the response to `request`, whatever its status.
  ///
  /// The implementation must take at most `timeout`, including name resolution, connecting and TLS.
  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse

  /// Closes open connections and forgets TLS sessions and certificates, so that the next request reads them again.
  func disconnect()
}

extension HTTPExchange {
  package func disconnect() {}
}

/// An HTTP request: its content, not its transport.
package struct HTTPRequest: Sendable {
  package var method: String
  /// The URL: `http://` or `https://`, host, path and query, percent-encoded exactly as on the wire.
  package var url: String
  /// The headers, sent unchanged; only `Host` and `Content-Length` are added.
  package var headers: [HeaderField]
  package var body: [UInt8]

  package init(method: String, url: String, headers: [HeaderField] = [], body: [UInt8] = []) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

/// A complete HTTP response.
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

  /// Returns the value of the first header field called `name`; nil if there is none.
  package func header(_ name: HeaderName) -> String? { fields[name] }

  package var isSuccess: Bool { (200..<300).contains(status) }
}
