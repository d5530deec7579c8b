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

extension InterfaceNames {
  /// The addresses of this network namespace without netlink: by SIOCGIFCONF the IPv4 ones, from `net/if_inet6` the others.
  static func withoutNetlink(_ procfs: ProcRoot, log: Log) -> InterfaceNames {
    var names = InterfaceNames()
    do throws(Errno) {
      try names.insertIPv4Addresses()
    } catch {
      log.warn("the IPv4 addresses of the interfaces can't be read: \(error); the report doesn't name them")
    }
    procfs.readIPv6Addresses(into: &names, directory: "net", log: log)
    return names
  }

  /// The addresses of another network namespace, as far as its files tell.
  ///
  /// IPv6 addresses are in `if_inet6`. No file has the IPv4 ones with their interfaces; but each is in a network that
  /// its interface is in, and `route` has those.
  static func ofOtherNamespace(_ procfs: ProcRoot, directory: String, log: Log) -> InterfaceNames {
    var names = InterfaceNames()
    names.insert(IPAddress(v4: 0x7F00_0001), interface: "lo")
    procfs.readIPv4Networks(into: &names, directory: directory, log: log)
    procfs.readIPv6Addresses(into: &names, directory: directory, log: log)
    return names
  }
}

extension ProcRoot {
  /// Hands each line of a small file to `read`, which returns whether the line was as it should be.
  func forEachAddressLine(of path: String, _ log: Log, _ read: (Span<UInt8>) -> Bool) {
    do throws(CollectionError) {
      guard let file = try open(path) else { return }
      var reader = LineReader()
      var skipped = SkippedLines()
      do throws(Errno) {
        try reader.forEachLine(of: file) { line, number, flaw in
          if isBlank(line) || (flaw == nil && read(line)) { return }
          skipped.append(line: number, reason: .address, text: line)
        }
      } catch {
        throw .unreadable(path: "\(self.path)/\(path)", error)
      }
      if let summary = skipped.summary(path: "\(self.path)/\(path)") { log.warn(summary) }
    } catch {
      log.warn("\(error); the report doesn't name the interfaces that it tells of")
    }
  }
}
