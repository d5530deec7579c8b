/// The elements of the lists that a snapshot otherwise samples: all listening ports and all remote addresses.
///
/// An evaluator of security profiles needs them, because a rule about a set can miss an element outside of the sample.
/// Elements may repeat.
package struct CompleteSets: Equatable, Sendable {
  /// The lists to keep. Each costs memory: 2 bytes a port, 4 bytes an IPv4 address, 16 an IPv6 address.
  package struct Selection: Equatable, Sendable {
    package var listeningTCPPorts = false
    package var listeningUDPPorts = false
    package var destinations = false

    package init() {}

    package var isEmpty: Bool { self == Selection() }
  }

  package internal(set) var listeningTCPPorts: [UInt16]?
  package internal(set) var listeningUDPPorts: [UInt16]?
  package internal(set) var destinations: AddressList?

  package init() {}
}

/// A list of addresses in compact form: 4 bytes for IPv4, 16 for IPv6.
///
/// An IPv4 address inside an IPv6 one (`::ffff:192.0.2.1`) is stored as the IPv4 address.
package struct AddressList: Equatable, Sendable {
  package private(set) var v4: [UInt32] = []
  package private(set) var v6: [UInt128] = []

  package init() {}

  package var isEmpty: Bool { v4.isEmpty && v6.isEmpty }

  @inline(__always)
  package mutating func append(_ address: IPAddress) {
    if address.family == .v4 {
      v4.append(UInt32(truncatingIfNeeded: address.low))
    } else {
      appendV6(address)
    }
  }

  /// Appends an IPv4 address: 0x7F00_0001 is 127.0.0.1.
  package mutating func append(v4 number: UInt32) { v4.append(number) }

  private mutating func appendV6(_ address: IPAddress) {
    let address = address.unmapped
    if address.family == .v4 {
      v4.append(UInt32(truncatingIfNeeded: address.low))
    } else {
      v6.append(UInt128(address.high) << 64 | UInt128(address.low))
    }
  }

  package mutating func reserveCapacity(_ count: Int) { v4.reserveCapacity(count) }
}
