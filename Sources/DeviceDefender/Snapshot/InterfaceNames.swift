import Platform

/// Maps local addresses to the interfaces that have them.
package struct InterfaceNames: Equatable, Sendable {
  private var names: [IPAddress: String] = [:]
  private var namesByIndex: [UInt32: String] = [:]
  /// Link-local addresses that several interfaces have; without a scope they identify none of them.
  private var ambiguous: Set<IPAddress> = []
  /// The interface that has 127.0.0.0/8.
  private var loopback: String?
  /// Directly connected networks, for addresses whose interface isn't known individually.
  private var networks: [Network] = []

  private struct Network: Equatable {
    var address: UInt32
    var mask: UInt32
    var interface: String
  }

  package init() {}

  /// Adds an address of `interface`. An IPv4 alias such as `eth0:1` counts as an interface.
  package mutating func insert(_ address: IPAddress, interface: String) {
    if let known = names[address] {
      if known != interface, address.isLinkLocalV6 { ambiguous.insert(address) }
      return
    }
    names[address] = interface
    if address.isLoopbackV4, loopback == nil { loopback = interface }
  }

  /// Adds the kernel's index of an interface.
  mutating func insert(index: UInt32, interface: String) {
    namesByIndex[index] = interface
  }

  /// Adds an IPv4 network that `interface` is connected to.
  mutating func insert(network address: UInt32, mask: UInt32, interface: String) {
    networks.append(Network(address: address, mask: mask, interface: interface))
  }

  /// Returns the interface to report for a socket's local address; nil if it is unknown.
  ///
  /// A socket bound to no address has the interface `0.0.0.0` or `::`, as in the Python agent's reports. All
  /// of 127.0.0.0/8 belongs to the loopback interface, and `::ffff:192.0.2.1` to the interface of 192.0.2.1.
  /// A link-local address belongs to the interface with `index` if that is known, because several interfaces
  /// can have the same link-local address.
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

  /// Returns the interface of the smallest network that contains the address; nil if two networks of that
  /// size do.
  private func interface(inNetworkOf address: UInt32) -> String? {
    let matches = networks.filter { address & $0.mask == $0.address }
    guard let longest = matches.map(\.mask).max() else { return nil }
    let interfaces = Set(matches.filter { $0.mask == longest }.map(\.interface))
    return interfaces.count == 1 ? interfaces.first : nil
  }
}

extension InterfaceNames {
  /// Returns the addresses of this network namespace without netlink: IPv4 from SIOCGIFCONF, IPv6 from
  /// `net/if_inet6`.
  static func withoutNetlink(_ procfs: ProcRoot, log: Log) -> InterfaceNames {
    var names = InterfaceNames()
    do throws(Errno) {
      try names.insertIPv4Addresses()
    } catch {
      log.warn(
        "Can't read the IPv4 addresses of the interfaces: \(error). The report omits the interfaces of IPv4 sockets."
      )
    }
    procfs.readIPv6Addresses(into: &names, directory: "net", log: log)
    return names
  }

  /// Returns the addresses of another network namespace, as far as its files contain them.
  ///
  /// `if_inet6` lists IPv6 addresses. No file lists IPv4 addresses with their interfaces, but `route` lists
  /// the networks that each interface is connected to.
  static func ofOtherNamespace(_ procfs: ProcRoot, directory: String, log: Log) -> InterfaceNames {
    var names = InterfaceNames()
    names.insert(IPAddress(v4: 0x7F00_0001), interface: "lo")
    procfs.readIPv4Networks(into: &names, directory: directory, log: log)
    procfs.readIPv6Addresses(into: &names, directory: directory, log: log)
    return names
  }
}

extension ProcRoot {
  /// Passes each line of a small file to `read`, which returns whether the line is well-formed.
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
      log.warn("Can't read \(error). The report omits the interfaces of some sockets.")
    }
  }
}
