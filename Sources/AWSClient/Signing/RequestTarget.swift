/// Why a text isn't a URL that a request can go to.
package struct URLError: Error, Equatable, Sendable, CustomStringConvertible {
  package let url: String
  package let reason: String

  package init(url: String, reason: String) {
    self.url = url
    self.reason = reason
  }

  package var description: String { "'\(url)' is no URL to send to: \(reason)" }
}

/// The parts of an `http` or `https` URL that a signature and a connection are about (RFC 3986, section 3).
package struct RequestTarget: Equatable, Sendable {
  package let isSecure: Bool
  /// Lower case, an IPv6 address in brackets.
  package let host: String
  /// Nil where it is the scheme's own.
  package let port: UInt16?
  /// As in the URL; `/` where that has none.
  package let path: String
  /// As in the URL, without its question mark.
  package let query: String

  package init(_ url: String) throws(URLError) {
    let isSecure = hasPrefix(url, "https://")
    guard isSecure || hasPrefix(url, "http://") else {
      throw URLError(url: url, reason: "it doesn't begin with https:// or http://")
    }
    let rest = url.utf8.dropFirst(isSecure ? 8 : 7)
    let authority = rest.prefix {
      $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
    }
    let target = rest[authority.endIndex...]
    guard !target.contains(UInt8(ascii: "#")) else { throw URLError(url: url, reason: "it has a fragment") }
    guard !authority.contains(UInt8(ascii: "@")) else {
      // The text stays out of the message: it may hold a password.
      throw URLError(url: "(not shown)", reason: "it has a user name")
    }
    let path = target.prefix { $0 != UInt8(ascii: "?") }
    self.isSecure = isSecure
    self.path = path.isEmpty ? "/" : String(decoding: path, as: UTF8.self)
    query = String(decoding: target[path.endIndex...].dropFirst(), as: UTF8.self)
    (host, port) = try Self.hostAndPort(String(decoding: authority, as: UTF8.self), isSecure, url)
  }

  /// The value of the `Host` header: the port only where it isn't the scheme's own.
  package var hostHeader: String {
    guard let port else { return host }
    return "\(host):\(port)"
  }

  /// The scheme and the host, without a path.
  package var origin: String { "\(isSecure ? "https" : "http")://\(hostHeader)" }

  private static func hostAndPort(
    _ authority: String, _ isSecure: Bool, _ url: String
  ) throws(URLError) -> (String, UInt16?) {
    let hostEnd: String.Index
    if authority.hasPrefix("[") {
      guard let bracket = authority.firstIndex(of: "]") else {
        throw URLError(url: url, reason: "the address has no closing bracket")
      }
      hostEnd = authority.index(after: bracket)
    } else {
      hostEnd = authority.firstIndex(of: ":") ?? authority.endIndex
    }
    let host = authority[..<hostEnd].lowercased()
    guard !host.isEmpty, host != "[]", !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
      throw URLError(url: url, reason: "it names no host")
    }
    let rest = authority[hostEnd...]
    guard !rest.isEmpty else { return (host, nil) }
    guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else {
      throw URLError(url: url, reason: "the port isn't a number from 1 to 65535")
    }
    return (host, port == (isSecure ? 443 : 80) ? nil : port)
  }
}

private func hasPrefix(_ text: String, _ lowerCasePrefix: String) -> Bool {
  var bytes = text.utf8.makeIterator()
  return lowerCasePrefix.utf8.allSatisfy { expected in
    guard let byte = bytes.next() else { return false }
    return byte == expected
      || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == expected
  }
}
