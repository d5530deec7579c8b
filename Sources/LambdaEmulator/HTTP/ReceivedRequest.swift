package import WireFormats

/// The head of an HTTP request exactly as received.
///
/// Signatures are computed over these bytes, so the request target keeps its percent-encoding, and the header fields keep their
/// order and case.
package struct ReceivedRequest: Sendable {
  package let method: String
  /// The request target in origin form, such as `/topics/a%2Fb?qos=1`.
  package let target: String
  /// The host and port if the target was in absolute form (RFC 9112, section 3.2.2); nil otherwise.
  package let authority: String?
  package let headers: [HeaderField]

  /// Creates a request. `target` is in origin form or in absolute form, which clients send to proxies.
  package init(method: String, target: String, headers: [HeaderField]) {
    self.method = method
    let url = URLParts(target)
    if url.scheme?.lowercased() == "http" {
      authority = url.userInformation.map { "\($0)@\(url.authority)" } ?? url.authority
      self.target = url.target.first == "/" ? url.target : "/\(url.target)"
    } else {
      authority = nil
      self.target = target
    }
    self.headers = headers
  }

  /// The target without the query.
  package var path: Substring { target.prefix { $0 != "?" } }

  /// The target after the first `?`; empty if there is none.
  package var query: Substring { target.dropFirst(path.count + 1) }

  /// Returns the values of all header fields called `name`, in the order received.
  package func values(of name: HeaderName) -> [String] {
    headers.filter { $0.name == name }.map(\.value)
  }

  /// Returns the value of the first header field called `name`; nil if there is none.
  package func value(of name: HeaderName) -> String? { headers.first { $0.name == name }?.value }
}
