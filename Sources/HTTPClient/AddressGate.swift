import CCurl
import Glibc

/// Which addresses a connection may go to, whatever name they were found under.
package enum AddressRule: Sendable {
  case any
  /// Loopback, and the link-local addresses at which Amazon ECS and EKS hand out credentials: the only ones that may
  /// see a token without TLS.
  case credentialHosts
  /// None: for a connection that is only to tell where it would go.
  case nothing

  func allows(_ address: UnsafePointer<sockaddr>, size: Int) -> Bool {
    switch self {
    case .any: return true
    case .nothing: return false
    case .credentialHosts: break
    }
    switch unsafe Int32(address.pointee.sa_family) {
    case AF_INET:
      guard size >= MemoryLayout<sockaddr_in>.size else { return false }
      return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        unsafe isCredentialHost(UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
      }
    case AF_INET6:
      guard size >= MemoryLayout<sockaddr_in6>.size else { return false }
      return unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
        unsafe withUnsafeBytes(of: address.pointee.sin6_addr) { bytes in
          unsafe isCredentialHost(Array(bytes))
        }
      }
    default: return false
    }
  }
}

/// Whether an IPv4 address is of 127.0.0.0/8, 169.254.170.2 (ECS) or 169.254.170.23 (EKS).
package func isCredentialHost(_ address: UInt32) -> Bool {
  address >> 24 == 127 || address == 0xA9FE_AA02 || address == 0xA9FE_AA17
}

/// Whether an IPv6 address, 16 bytes, is ::1 or fd00:ec2::23 (EKS).
package func isCredentialHost(_ address: [UInt8]) -> Bool {
  let zeros = [UInt8](repeating: 0, count: 10)
  return address == zeros + [0, 0, 0, 0, 0, 1] || address == [0xFD, 0x00, 0x0E, 0xC2] + zeros + [0x00, 0x23]
}

/// Opens sockets to allowed addresses only, and remembers the last one that it refused.
///
/// libcurl asks it for every address that it is about to connect to, so nothing that a resolver says in between
/// makes a difference.
final class AddressGate {
  private let rule: AddressRule
  private(set) var refused = false
  /// The port of that address; 0 where it has none.
  private(set) var refusedPort: UInt16 = 0

  init(_ rule: AddressRule) {
    self.rule = rule
  }

  /// Begins with another connection.
  func begin() { refused = false }

  func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    let size = unsafe Int(address.pointee.addrlen)
    // The address is longer than the `sockaddr` that libcurl declares; a pointer to the field alone might be to a copy.
    guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return CURL_SOCKET_BAD }
    let generic = unsafe UnsafeRawPointer(address).advanced(by: offset).assumingMemoryBound(to: sockaddr.self)
    guard unsafe rule.allows(generic, size: size) else {
      refused = true
      refusedPort = unsafe port(of: generic, size: size)
      return CURL_SOCKET_BAD
    }
    let type = unsafe address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
    return unsafe socket(address.pointee.family, type, address.pointee.protocol)
  }
}

/// The port of an IPv4 or IPv6 address, which both have at the same place; 0 of any other.
private func port(of address: UnsafePointer<sockaddr>, size: Int) -> UInt16 {
  let family = unsafe Int32(address.pointee.sa_family)
  guard family == AF_INET || family == AF_INET6, size >= MemoryLayout<sockaddr_in>.size else { return 0 }
  return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
    unsafe UInt16(bigEndian: $0.pointee.sin_port)
  }
}

func openSocket(
  _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
  _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
  guard let context = unsafe context, let address = unsafe address else { return CURL_SOCKET_BAD }
  return unsafe Unmanaged<AddressGate>.fromOpaque(context).takeUnretainedValue().open(address)
}
