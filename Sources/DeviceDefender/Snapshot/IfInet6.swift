import CLinux
import Glibc
import Platform

extension InterfaceNames {
  /// The addresses of this network namespace without netlink, on which getifaddrs(3) depends as well.
  ///
  /// Asks for the IPv4 addresses by SIOCGIFCONF (netdevice(7)) and reads `net/if_inet6` for the others.
  static func withoutNetlink(_ procfs: ProcRoot, log: Log) -> InterfaceNames {
    var names = InterfaceNames()
    do throws(Errno) {
      let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
      let socket = FileDescriptor(owning: try retryingOnInterrupt { Glibc.socket(AF_INET, type, 0) })
      // More addresses than these have no name in the report.
      var entries = unsafe [ifreq](repeating: ifreq(), count: 1_024)
      let count = try retryingOnInterrupt {
        unsafe clinux_ipv4_addresses(socket.rawValue, &entries, Int32(entries.count))
      }
      for index in 0..<min(Int(count), unsafe entries.count) { unsafe names.insert(entries[index]) }
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

  private mutating func insert(_ entry: ifreq) {
    var entry = unsafe entry
    let name = unsafe withUnsafeBytes(of: &entry.ifr_ifrn.ifrn_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let address = unsafe withUnsafeBytes(of: &entry.ifr_ifru.ifru_addr) { bytes in
      unsafe bytes.loadUnaligned(as: sockaddr_in.self)
    }
    guard address.sin_family == sa_family_t(AF_INET) else { return }
    insert(IPAddress(v4: UInt32(bigEndian: address.sin_addr.s_addr)), interface: name)
  }
}

extension InterfaceNames {
  /// Reads a line of `if_inet6`: address, number of the interface, prefix length, scope, flags, name; returns whether
  /// it was as it should be.
  ///
  /// The address is in network order, unlike in `tcp6`.
  mutating func insert(ipv6AddressLine line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    guard
      let first = columns.eightHexadecimalDigits(in: line),
      let second = columns.eightHexadecimalDigits(in: line),
      let third = columns.eightHexadecimalDigits(in: line),
      let fourth = columns.eightHexadecimalDigits(in: line),
      columns.endColumn(in: line)
    else { return false }
    for _ in 0..<4 { columns.skipColumn(in: line) }
    let name = columns.column(of: line)
    if name.isEmpty { return false }
    insert(IPAddress(v6Words: first, second, third, fourth), interface: name)
    return true
  }

  /// Reads the network that an interface is in from a line of `route`: interface, destination, gateway, flags, three
  /// numbers, mask; returns whether it was as it should be.
  mutating func insert(routeLine line: Span<UInt8>) -> Bool {
    var columns = ColumnReader()
    if begins(line, with: "Iface") { return true }
    let name = columns.column(of: line)
    guard
      !name.isEmpty, let destination = columns.eightHexadecimalDigits(in: line),
      columns.endColumn(in: line),
      let gateway = columns.eightHexadecimalDigits(in: line), columns.endColumn(in: line),
      let flags = columns.fourHexadecimalDigits(in: line), columns.endColumn(in: line)
    else { return false }
    for _ in 0..<3 { columns.skipColumn(in: line) }
    guard let mask = columns.eightHexadecimalDigits(in: line) else { return false }
    // Up, without a gateway, and a network rather than everything.
    if gateway == 0, flags & 3 == 1, mask != 0 {
      insert(network: UInt32(bigEndian: destination), mask: UInt32(bigEndian: mask), interface: name)
    }
    return true
  }
}

extension ProcRoot {
  /// Reads the addresses in `if_inet6`. A file that isn't there has none.
  func readIPv6Addresses(into names: inout InterfaceNames, directory: String, log: Log) {
    forEachAddressLine(of: "\(directory)/if_inet6", log) { names.insert(ipv6AddressLine: $0) }
  }

  /// Reads the networks that interfaces are in from `route`.
  func readIPv4Networks(into names: inout InterfaceNames, directory: String, log: Log) {
    forEachAddressLine(of: "\(directory)/route", log) { names.insert(routeLine: $0) }
  }

  /// Hands each line of a small file to `read`, which returns whether the line was as it should be.
  private func forEachAddressLine(of path: String, _ log: Log, _ read: (Span<UInt8>) -> Bool) {
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
