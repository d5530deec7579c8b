/// The head of an HTTP request as it came over the wire: nothing decoded, folded or sorted.
///
/// A signature is over these bytes, so the request target keeps its percent-encoding and the header fields their
/// order and spelling.
package struct ReceivedRequest: Sendable {
  package let method: String
  /// The request target in origin form, such as `/topics/a%2Fb?qos=1`.
  package let target: String
  package let headers: [HeaderField]

  package init(method: String, target: String, headers: [HeaderField]) {
    self.method = method
    self.target = target
    self.headers = headers
  }

  /// The target up to the query.
  package var path: Substring { target.prefix { $0 != "?" } }

  /// The target after the first `?`; empty where there is none.
  package var query: Substring { target.dropFirst(path.count + 1) }

  /// The values of all header fields called `name`, in their order; names are compared without regard to case.
  package func values(of name: String) -> [String] {
    let name = name.lowercased()
    return headers.filter { $0.name.lowercased() == name }.map(\.value)
  }

  /// The value of the first header field called `name`.
  package func value(of name: String) -> String? { values(of: name).first }
}

/// One header field or trailer.
package struct HeaderField: Sendable, Equatable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}
