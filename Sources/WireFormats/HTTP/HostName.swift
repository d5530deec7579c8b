import Glibc

/// The host of a URL, in the spelling that is signed, sent in `Host` and used to connect.
///
/// libcurl rewrites hosts: it shortens `[0:0:0:0:0:0:0:1]`, reads `127.1` as 127.0.0.1, decodes `%6c` and removes the
/// zone of `[fe80::1%25eth0]`. A server then rejects a signature over the user's spelling. So an IPv6 address is written
/// as inet_ntop(3) writes it, which libcurl keeps, and any other spelling that libcurl would change is rejected.
package struct HostName: Equatable, Sendable {
  /// The host in lower case; an IPv6 address is in brackets.
  package let text: String

  /// Parses a host; an IPv6 address must be in brackets.
  package init(_ text: some StringProtocol) throws(HostNameError) {
    guard !text.isEmpty else { throw .empty }
    if text.utf8.first == UInt8(ascii: "[") {
      self.text = try Self.address6(Array(text.utf8))
    } else {
      self.text = try Self.name(Array(text.utf8))
    }
  }

  private static func address6(_ bytes: [UInt8]) throws(HostNameError) -> String {
    guard bytes.last == UInt8(ascii: "]"), bytes.count > 2 else { throw .noAddress6 }
    guard !bytes.contains(UInt8(ascii: "%")) else { throw .zone }
    var address = in6_addr()
    let text = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
    guard unsafe inet_pton(AF_INET6, text, &address) == 1 else { throw .noAddress6 }
    var written = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard unsafe inet_ntop(AF_INET6, &address, &written, socklen_t(written.count)) != nil else {
      throw .noAddress6
    }
    return "[\(String(decoding: written.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))]"
  }

  private static func name(_ bytes: [UInt8]) throws(HostNameError) -> String {
    for byte in bytes where !(isLetterOrDigit(byte) || "-_.".utf8.contains(byte)) {
      throw byte < 0x80 ? .character(UnicodeScalar(byte)) : .notASCII
    }
    let name = String(decoding: bytes.map(lowerCased), as: UTF8.self)
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard labels.allSatisfy({ !$0.isEmpty }) else { throw .label }
    // The last label of a host name isn't a number (RFC 3696, section 2), so this is an IPv4 address in some spelling.
    if let last = labels.last, isNumber(last) {
      guard labels.count == 4, labels.allSatisfy(isOctet) else { throw .noAddress4 }
    }
    return name
  }

  /// Returns whether inet_aton(3), and so libcurl, reads `label` as a number.
  private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
    let isHexadecimal = label.starts(with: "0x".utf8) || label.starts(with: "0X".utf8)
    return isHexadecimal
      ? label.dropFirst(2).allSatisfy { hexDigitValue($0) != nil }
      : label.allSatisfy { (0x30...0x39).contains($0) }
  }

  private static func isOctet(_ label: ArraySlice<UInt8>) -> Bool {
    guard label.count == 1 || label.first != UInt8(ascii: "0") else { return false }
    return label.allSatisfy { (0x30...0x39).contains($0) }
      && UInt8(String(decoding: label, as: UTF8.self)) != nil
  }
}

/// The reason why a text can't be the host of a URL.
package enum HostNameError: Error, Equatable, Sendable, CustomStringConvertible {
  case empty
  case noAddress6
  case zone
  case noAddress4
  case notASCII
  case character(Unicode.Scalar)
  case label

  package var description: String {
    switch self {
    case .empty: "it has no host"
    case .noAddress6: "the address in brackets isn't an IPv6 address such as [2001:db8::1]"
    case .zone: "a zone ('%') isn't supported in an IPv6 address; use an address that needs none"
    case .noAddress4:
      "the IPv4 address isn't four numbers from 0 to 255 without leading zeros, such as 192.0.2.1"
    case .notASCII: "the host isn't ASCII; write an international name as its xn-- form"
    case .character(let character):
      character.value == 0x20 || character.value < 0x20 || character.value == 0x7F
        ? "the host contains a blank or a control character"
        : "the host contains '\(character)'; use letters, digits, '-', '_' and '.'"
    case .label: "the host begins or ends with '.', or contains two in a row"
    }
  }
}
