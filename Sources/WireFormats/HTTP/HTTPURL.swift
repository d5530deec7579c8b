import HTTPClient
import WireFormats

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
  /// In the spelling of ``HostName``.
  package let host: String
  /// Nil where it is the scheme's own.
  package let port: UInt16?
  /// As in the URL; `/` where that has none.
  package let path: String
  /// As in the URL, without its question mark.
  package let query: String

  package init(_ url: String) throws(URLError) {
    let bytes = Array(url.utf8)
    let isSecure = hasPrefix(bytes, "https://")
    guard isSecure || hasPrefix(bytes, "http://") else {
      throw URLError(url: url, reason: "it doesn't begin with https:// or http://")
    }
    let rest = bytes[(isSecure ? 8 : 7)...]
    let authorityEnd =
      rest.firstIndex { $0 == slash || $0 == questionMark || $0 == numberSign } ?? bytes.endIndex
    let authority = rest[..<authorityEnd]
    let target = rest[authorityEnd...]
    guard !target.contains(numberSign) else { throw URLError(url: url, reason: "it has a fragment") }
    guard !authority.contains(UInt8(ascii: "@")) else {
      // The text stays out of the message: it may hold a password.
      throw URLError(url: "(not shown)", reason: "it has a user name")
    }
    let pathEnd = target.firstIndex(of: questionMark) ?? bytes.endIndex
    self.isSecure = isSecure
    path = pathEnd == authorityEnd ? "/" : String(decoding: target[..<pathEnd], as: UTF8.self)
    query = String(decoding: target[pathEnd...].dropFirst(), as: UTF8.self)
    (host, port) = try Self.hostAndPort(authority, isSecure, url)
  }

  /// The value of the `Host` header: the port only where it isn't the scheme's own.
  package var hostHeader: String {
    guard let port else { return host }
    return "\(host):\(port)"
  }

  /// The scheme and the host, without a path.
  package var origin: String { "\(isSecure ? "https" : "http")://\(hostHeader)" }

  private static func hostAndPort(
    _ authority: ArraySlice<UInt8>, _ isSecure: Bool, _ url: String
  ) throws(URLError) -> (String, UInt16?) {
    let hostEnd: Int
    if authority.first == UInt8(ascii: "[") {
      guard let bracket = authority.firstIndex(of: UInt8(ascii: "]")) else {
        throw URLError(url: url, reason: "the address has no closing bracket")
      }
      hostEnd = bracket + 1
    } else {
      hostEnd = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
    }
    let host: String
    do throws(HostNameError) {
      host = try HostName(String(decoding: authority[..<hostEnd], as: UTF8.self)).text
    } catch {
      throw URLError(url: url, reason: "\(error)")
    }
    let rest = authority[hostEnd...]
    guard !rest.isEmpty else { return (host, nil) }
    guard
      rest.first == UInt8(ascii: ":"),
      let port = UInt16(String(decoding: rest.dropFirst(), as: UTF8.self)), port > 0
    else { throw URLError(url: url, reason: "the port isn't a number from 1 to 65535") }
    return (host, port == (isSecure ? 443 : 80) ? nil : port)
  }
}

private let slash = UInt8(ascii: "/")
private let questionMark = UInt8(ascii: "?")
private let numberSign = UInt8(ascii: "#")

private func hasPrefix(_ text: [UInt8], _ lowerCasePrefix: String) -> Bool {
  text.count >= lowerCasePrefix.utf8.count
    && zip(text, lowerCasePrefix.utf8).allSatisfy { lowerCased($0) == $1 }
}
