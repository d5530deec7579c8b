package import DeviceDefender

/// A network in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`.
///
/// A network within `::ffff:0:0/96` is an IPv4 network (RFC 4291, section 2.5.5.2).
package struct CIDR: Hashable, Sendable, CustomStringConvertible {
  package let network: IPAddress
  package let prefixLength: Int

  /// Why a text isn't a network.
  package enum Mistake: Error, Equatable, Sendable {
    case syntax
    case noPrefixLength(IPAddress)
    case prefixLength(maximum: Int)
    /// The address has bits beyond the prefix; the value is the network that contains it.
    case hostBits(network: String)
  }

  /// Creates a network from its first address.
  init(_ network: IPAddress, _ prefixLength: Int) {
    self.network = network
    self.prefixLength = prefixLength
  }

  package init(parsing text: String) throws(Mistake) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let address = parts.first.flatMap({ IPAddress(parsing: String($0)) }) else { throw .syntax }
    guard parts.count == 2 else { throw parts.count == 1 ? .noPrefixLength(address) : .syntax }
    let digits = parts[1].utf8
    guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
      var length = Int(parts[1])
    else { throw .syntax }
    let width = address.family == .v4 ? 32 : 128
    guard length <= width else { throw .prefixLength(maximum: width) }
    let unmapped = address.unmapped
    var result = address
    if unmapped.family != address.family, length >= 96 {
      result = unmapped
      length -= 96
    }
    let base = result.masked(to: length)
    guard base == result else { throw .hostBits(network: "\(base)/\(length)") }
    network = base
    prefixLength = length
  }

  package var description: String { "\(network)/\(prefixLength)" }

  /// Returns whether an address of the network's family is in the network.
  package func contains(_ address: IPAddress) -> Bool {
    address.family == network.family && address.masked(to: prefixLength) == network
  }
}

extension IPAddress {
  /// Returns an IPv6 address as a number.
  var v6Number: UInt128 { UInt128(high) << 64 | UInt128(low) }

  init(v6Number number: UInt128) {
    self.init(
      v6High: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
  }

  /// Returns an IPv4 address as a number.
  var v4Number: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// Returns the address with all bits after the first `length` cleared.
  func masked(to length: Int) -> IPAddress {
    switch family {
    case .v4: IPAddress(v4: v4Number & prefixMask(length))
    case .v6: IPAddress(v6Number: v6Number & prefixMask(length))
    }
  }
}

/// Returns a number whose first `length` bits are ones.
func prefixMask<Number: FixedWidthInteger & UnsignedInteger>(_ length: Int) -> Number {
  // Swift's `<<` by the whole width returns zero, so a length of 0 needs no special case.
  Number.max << (Number.bitWidth - min(max(length, 0), Number.bitWidth))
}
