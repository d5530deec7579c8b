import CLinux
import Glibc

/// An IPv4 or IPv6 address with its port, in the form that connect(2) expects.
struct SocketAddress {
  private var storage = sockaddr_storage()
  private var length: socklen_t = 0

  var family: Int32 { Int32(storage.ss_family) }

  init?(ipv4 text: String, port: UInt16) {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard unsafe inet_pton(AF_INET, text, &address.sin_addr) == 1 else { return nil }
    unsafe fill(from: &address, length: socklen_t(MemoryLayout<sockaddr_in>.size))
  }

  init?(ipv6 text: String, port: UInt16) {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    guard unsafe inet_pton(AF_INET6, text, &address.sin6_addr) == 1 else { return nil }
    unsafe fill(from: &address, length: socklen_t(MemoryLayout<sockaddr_in6>.size))
  }

  fileprivate init?(_ address: UnsafeRawPointer?, length: socklen_t) {
    guard let address = unsafe address, length <= MemoryLayout<sockaddr_storage>.size else { return nil }
    unsafe fill(from: address, length: length)
  }

  private mutating func fill(from address: UnsafeRawPointer, length: socklen_t) {
    unsafe withUnsafeMutableBytes(of: &storage) {
      unsafe $0.copyMemory(from: .init(start: address, count: Int(length)))
    }
    self.length = length
  }

  func withPointer<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
    unsafe withUnsafePointer(to: storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
    }
  }
}

/// Returns the addresses of an endpoint, the most likely first.
///
/// Numeric addresses and `localhost` are handled here. Other names go to the resolver, restricted to files and DNS: in a static
/// executable, glibc would load any other service from the host's C library, and abort if the versions differ.
func addresses(of endpoint: RuntimeEndpoint) throws(ExchangeError) -> [SocketAddress] {
  if let address = SocketAddress(ipv4: endpoint.host, port: endpoint.port) { return [address] }
  if let address = SocketAddress(ipv6: endpoint.host, port: endpoint.port) { return [address] }
  if endpoint.host.lowercased() == "localhost" {
    return [
      SocketAddress(ipv4: "127.0.0.1", port: endpoint.port), SocketAddress(ipv6: "::1", port: endpoint.port),
    ].compactMap { $0 }
  }
  return try resolvedAddresses(of: endpoint)
}

private func resolvedAddresses(of endpoint: RuntimeEndpoint) throws(ExchangeError) -> [SocketAddress] {
  _ = unsafe __nss_configure_lookup("hosts", "files dns")
  var hints = unsafe addrinfo()
  unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  let code = unsafe getaddrinfo(endpoint.host, String(endpoint.port), &hints, &list)
  guard code == 0 else {
    throw .unresolvable(host: endpoint.host, reason: unsafe String(cString: gai_strerror(code)))
  }
  defer { unsafe freeaddrinfo(list) }
  var found: [SocketAddress] = []
  var next = unsafe list
  while let entry = unsafe next {
    if let address = unsafe SocketAddress(entry.pointee.ai_addr, length: entry.pointee.ai_addrlen) {
      found.append(address)
    }
    unsafe next = entry.pointee.ai_next
  }
  return found
}
