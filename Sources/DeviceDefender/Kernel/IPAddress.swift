import Glibc
import WireFormats

/// An IPv4 or IPv6 address, as a number.
package struct IPAddress: Hashable, Sendable {
  package enum Family: UInt8, Sendable {
    case v4, v6
  }

  package let family: Family
  /// The first 64 bits of an IPv6 address; 0 for IPv4.
  package let high: UInt64
  /// The last 64 bits of an IPv6 address, or all 32 bits of an IPv4 address, whose first octet is the
  /// highest.
  package let low: UInt64

  /// Creates an IPv4 address: 0x7F00_0001 is 127.0.0.1.
  package init(v4 value: UInt32) {
    family = .v4
    high = 0
    low = UInt64(value)
  }

  package init(v6High high: UInt64, low: UInt64) {
    family = .v6
    self.high = high
    self.low = low
  }

  /// Creates an IPv6 address from four 32-bit words, each with two of its 16-bit pieces.
  init(v6Words first: UInt32, _ second: UInt32, _ third: UInt32, _ fourth: UInt32) {
    self.init(
      v6High: UInt64(first) << 32 | UInt64(second), low: UInt64(third) << 32 | UInt64(fourth))
  }

  /// Whether the address is `0.0.0.0` or `::`.
  package var isUnspecified: Bool { high == 0 && low == 0 }

  /// Whether the address is in 127.0.0.0/8, all of which belongs to the loopback interface of a Linux host.
  var isLoopbackV4: Bool { family == .v4 && low >> 24 == 127 }

  /// Whether the address is in fe80::/10: it is only valid on one interface (RFC 4291, section 2.5.6).
  var isLinkLocalV6: Bool { family == .v6 && high >> 54 == 0x3FA }

  /// The IPv4 address inside `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2); any other address unchanged.
  package var unmapped: IPAddress {
    guard family == .v6, high == 0, low >> 32 == 0xFFFF else { return self }
    return IPAddress(v4: UInt32(truncatingIfNeeded: low))
  }

  /// Returns a 16-bit piece of an IPv6 address; index 0 is the first.
  func piece(_ index: Int) -> UInt16 {
    let half = index < 4 ? high : low
    return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
  }
}

extension IPAddress: Comparable {
  package static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.family.rawValue, left.high, left.low) < (right.family.rawValue, right.high, right.low)
  }
}

extension IPAddress: CustomStringConvertible {
  package var description: String {
    var text = ByteBuffer(capacity: 64)
    text.append(self)
    return String(decoding: text.bytes, as: UTF8.self)
  }
}

extension IPAddress {
  /// Parses `192.0.2.1` or `2001:db8::1` (inet_pton(3)); nil for anything else, including a scope such as
  /// `%eth0`.
  package init?(parsing text: String) {
    var v4 = in_addr()
    if unsafe inet_pton(AF_INET, text, &v4) == 1 {
      self.init(v4: UInt32(bigEndian: v4.s_addr))
      return
    }
    var v6 = in6_addr()
    guard unsafe inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
    self.init(v6)
  }

  /// Creates an address from the C library's structure.
  init(_ address: in6_addr) {
    let words = unsafe address.__in6_u.__u6_addr32
    self.init(
      v6Words: UInt32(bigEndian: words.0), UInt32(bigEndian: words.1), UInt32(bigEndian: words.2),
      UInt32(bigEndian: words.3))
  }
}
