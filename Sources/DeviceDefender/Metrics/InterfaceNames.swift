import CLinux
import Glibc
package import Platform

/// Which interface an address belongs to.
package struct InterfaceNames: Sendable {
  private var names: [IPAddress: String] = [:]
  /// Link-local addresses that more than one interface has; without a scope they tell nothing.
  private var ambiguous: Set<IPAddress> = []
  /// The interface that answers to 127.0.0.0/8.
  private var loopback: String?

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

  /// What to report as the interface of a socket's local address; nil where it can't be told.
  ///
  /// A socket that is bound to no address carries `0.0.0.0` or `::`, as with the Python agent. All of 127.0.0.0/8
  /// is the loopback's, and `::ffff:192.0.2.1` is where 192.0.2.1 is.
  package func interface(of local: IPAddress) -> String? {
    let address = local.unmapped
    if address.isUnspecified { return address.family == .v4 ? "0.0.0.0" : "::" }
    if ambiguous.contains(address) { return nil }
    return names[address] ?? (address.isLoopbackV4 ? loopback : nil)
  }
}

extension InterfaceNames {
  /// The addresses of this system, of the network namespace that the process is in (getifaddrs(3)).
  package static func ofThisSystem() throws(Errno) -> InterfaceNames {
    var first: UnsafeMutablePointer<ifaddrs>?
    _ = try retryingOnInterrupt { unsafe getifaddrs(&first) }
    defer { unsafe freeifaddrs(first) }
    var names = InterfaceNames()
    var entry = unsafe first
    while let current = unsafe entry {
      unsafe entry = current.pointee.ifa_next
      guard
        let name = unsafe current.pointee.ifa_name, let address = unsafe current.pointee.ifa_addr,
        let parsed = unsafe IPAddress(address)
      else { continue }
      unsafe names.insert(parsed, interface: String(cString: name))
    }
    return names
  }
}

extension IPAddress {
  /// The address in a socket address; nil where that is of another family.
  fileprivate init?(_ pointer: UnsafePointer<sockaddr>) {
    switch unsafe Int32(pointer.pointee.sa_family) {
    case AF_INET:
      let address = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: sockaddr_in.self)
      self.init(v4: UInt32(bigEndian: address.sin_addr.s_addr))
    case AF_INET6:
      let address = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: sockaddr_in6.self)
      self.init(address.sin6_addr)
    default:
      return nil
    }
  }
}
