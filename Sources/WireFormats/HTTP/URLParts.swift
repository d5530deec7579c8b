/// The parts of a URL, or of a host with an optional port, as they are written (RFC 3986, section 3).
///
/// This type only splits the text. The caller, who knows its purpose, decides which schemes, hosts and user names are
/// allowed.
package struct URLParts: Equatable, Sendable {
  package enum Port: Equatable, Sendable {
    case number(UInt16)
    /// There is a colon without a number, which stands for the scheme's default (RFC 3986, section 3.2.3).
    case empty
    /// The port isn't a number from 1 to 65535, or isn't separated from the host by a colon.
    case malformed
  }

  /// The text before `://`; nil if there is none.
  package let scheme: String?
  /// The user name and password, up to the last `@` before the path; nil if there are none.
  package let userInformation: String?
  /// The host, an IPv6 address in its brackets.
  package let host: String
  /// The port; nil if the text contains none.
  package let port: Port?
  /// The host and the port.
  package let authority: String
  /// The path, query and fragment: everything after the port.
  package let target: String

  package init(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    var rest = bytes[...]
    if let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) {
      scheme = String(decoding: bytes[..<colon], as: UTF8.self)
      rest = bytes[(colon + 3)...]
    } else {
      scheme = nil
    }
    // With contains(_:) of a string, this took ten times as long.
    let end = rest.firstIndex { $0 == 0x2F || $0 == 0x3F || $0 == 0x23 } ?? rest.endIndex
    target = String(decoding: rest[end...], as: UTF8.self)
    rest = rest[..<end]
    if let at = rest.lastIndex(of: UInt8(ascii: "@")) {
      userInformation = String(decoding: rest[..<at], as: UTF8.self)
      rest = rest[(at + 1)...]
    } else {
      userInformation = nil
    }
    authority = String(decoding: rest, as: UTF8.self)
    let hostEnd: Int
    if rest.first == UInt8(ascii: "["), let bracket = rest.firstIndex(of: UInt8(ascii: "]")) {
      hostEnd = bracket + 1
    } else {
      hostEnd = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
    }
    host = String(decoding: rest[..<hostEnd], as: UTF8.self)
    port = hostEnd == rest.endIndex ? nil : Port(rest[hostEnd...])
  }
}

extension URLParts.Port {
  /// Parses a colon and digits.
  fileprivate init(_ text: ArraySlice<UInt8>) {
    let digits = text.dropFirst()
    if digits.isEmpty, text.first == UInt8(ascii: ":") {
      self = .empty
      return
    }
    guard text.first == UInt8(ascii: ":"), digits.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = UInt16(String(decoding: digits, as: UTF8.self)), number > 0
    else {
      self = .malformed
      return
    }
    self = .number(number)
  }
}
