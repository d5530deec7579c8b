import CLinux
import Glibc
import Platform

extension InterfaceNames {
  /// Adds the IPv4 addresses of this network namespace, read with SIOCGIFCONF (netdevice(7)).
  ///
  /// Works without netlink, on which getifaddrs(3) depends.
  mutating func insertIPv4Addresses() throws(Errno) {
    let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
    let socket = FileDescriptor(owning: try retryingOnInterrupt { Glibc.socket(AF_INET, type, 0) })
    // Addresses beyond this number get no interface name in the report.
    var entries = unsafe [ifreq](repeating: ifreq(), count: 1_024)
    let count = try retryingOnInterrupt {
      unsafe clinux_ipv4_addresses(socket.rawValue, &entries, Int32(entries.count))
    }
    for index in 0..<min(Int(count), unsafe entries.count) { unsafe insert(entries[index]) }
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
