import Platform

/// Which interface an address belongs to.
package struct InterfaceNames: Equatable, Sendable {
  private var names: [IPAddress: String] = [:]
  private var namesByIndex: [UInt32: String] = [:]
  /// Link-local addresses that more than one interface has; without a scope they tell nothing.
  private var ambiguous: Set<IPAddress> = []
  /// The interface that answers to 127.0.0.0/8.
  private var loopback: String?
  /// Networks that an interface is in, for addresses that aren't known one by one.
  private var networks: [Network] = []

  private struct Network: Equatable {
    var address: UInt32
    var mask: UInt32
    var interface: String
  }

  package init() {}

  /// Notes that `interface` has `address`. An IPv4 alias counts as an interface: `eth0:1`.
  package mutating func insert(_ address: IPAddress, interface: String) {
    if let known = names[address] {
      if known != interface, address.isLinkLocalV6 { ambiguous.insert(address) }
      return
    }
    names[address] = interface
    if address.isLoopbackV4, loopback == nil { loopback = interface }
  }

  /// Notes the kernel's number for an interface.
  mutating func insert(index: UInt32, interface: String) {
    namesByIndex[index] = interface
  }

  /// Notes that the IPv4 network is the one that `interface` is in.
  mutating func insert(network address: UInt32, mask: UInt32, interface: String) {
    networks.append(Network(address: address, mask: mask, interface: interface))
  }

  /// What to report as the interface of a socket's local address; nil where it can't be told.
  ///
  /// A socket that is bound to no address carries `0.0.0.0` or `::`, as with the Python agent. All of 127.0.0.0/8
  /// is the loopback's, and `::ffff:192.0.2.1` is where 192.0.2.1 is. A link-local address is on the interface of
  /// number `index`, where that is known: several may have the same one.
  package func interface(of local: IPAddress, index: UInt32 = 0) -> String? {
    let address = local.unmapped
    if address.isUnspecified { return address.family == .v4 ? "0.0.0.0" : "::" }
    if address.isLinkLocalV6 {
      if let name = namesByIndex[index] { return name }
      return ambiguous.contains(address) ? nil : names[address]
    }
    if let name = names[address] { return name }
    if address.isLoopbackV4 { return loopback }
    return address.family == .v4 ? interface(inNetworkOf: UInt32(truncatingIfNeeded: address.low)) : nil
  }

  /// The interface in the smallest network that has the address; nil where two are in one of that size.
  private func interface(inNetworkOf address: UInt32) -> String? {
    let matches = networks.filter { address & $0.mask == $0.address }
    guard let longest = matches.map(\.mask).max() else { return nil }
    let interfaces = Set(matches.filter { $0.mask == longest }.map(\.interface))
    return interfaces.count == 1 ? interfaces.first : nil
  }
}
