/// The reason why a text isn't a URL of an HTTP request.
package struct URLError: Error, Equatable, Sendable, CustomStringConvertible {
  package let url: String
  package let reason: String

  package init(url: String, reason: String) {
    self.url = url
    self.reason = reason
  }

  package var description: String { "'\(url)' is not a valid URL: \(reason)" }
}

/// An `http` or `https` URL, split into the parts that a signature and a connection need.
package struct HTTPURL: Equatable, Sendable {
  package let isSecure: Bool
  /// The host in the spelling of ``HostName``.
  package let host: String
  /// The port; nil if it is the scheme's default.
  package let port: UInt16?
  /// The path as in the URL; `/` if the URL has none.
  package let path: String
  /// The query as in the URL, without its question mark.
  package let query: String

  package init(_ url: String) throws(URLError) {
    let parts = URLParts(url)
    guard parts.userInformation == nil else {
      // The error doesn't contain the text, which may include a password.
      throw URLError(url: "(not shown)", reason: "it has a user name")
    }
    switch parts.scheme?.lowercased() {
    case "https": isSecure = true
    case "http": isSecure = false
    default: throw URLError(url: url, reason: "it doesn't begin with https:// or http://")
    }
    guard !parts.target.utf8.contains(UInt8(ascii: "#")) else {
      throw URLError(url: url, reason: "it has a fragment")
    }
    guard !parts.host.hasPrefix("[") || parts.host.hasSuffix("]") else {
      throw URLError(url: url, reason: "the address has no closing bracket")
    }
    do throws(HostNameError) {
      host = try HostName(parts.host).text
    } catch {
      throw URLError(url: url, reason: "\(error)")
    }
    switch parts.port {
    case nil: port = nil
    case .number(let number): port = number == (isSecure ? 443 : 80) ? nil : number
    case .empty, .malformed: throw URLError(url: url, reason: "the port isn't a number from 1 to 65535")
    }
    let target = parts.target.utf8
    let pathEnd = target.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
    path = pathEnd == target.startIndex ? "/" : String(parts.target[..<pathEnd])
    // Searches the bytes, because a question mark and a combining character after it form one Character.
    query = String(Substring(target[pathEnd...].dropFirst()))
  }

  /// The value of the `Host` header: with the port unless it is the scheme's default.
  package var hostHeader: String {
    guard let port else { return host }
    return "\(host):\(port)"
  }

  /// The scheme and the host, without a path.
  package var origin: String { "\(isSecure ? "https" : "http")://\(hostHeader)" }
}
