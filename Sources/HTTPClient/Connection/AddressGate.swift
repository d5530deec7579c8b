import CCurl
import Glibc

/// Which addresses a connection may go to, whatever name they were found under.
package enum AddressRule: Sendable {
  case any
  /// The addresses that a request may go to without TLS: loopback, and the addresses beside the machine at which AWS offers
  /// credentials and instance metadata. Everything else could be read on the way.
  case hostsWithoutTLS
  /// Loopback, and the link-local addresses at which Amazon ECS and EKS hand out credentials: the only ones that may
  /// see a token without TLS.
  case credentialHosts
  /// None: for a trial that must not connect.
  case nothing

  func allows(_ address: UnsafePointer<sockaddr>, size: Int) -> Bool {
    let includesMetadata: Bool
    switch self {
    case .any: return true
    case .nothing: return false
    case .credentialHosts: includesMetadata = false
    case .hostsWithoutTLS: includesMetadata = true
    }
    switch unsafe Int32(address.pointee.sa_family) {
    case AF_INET:
      guard size >= MemoryLayout<sockaddr_in>.size else { return false }
      return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        let host = unsafe UInt32(bigEndian: $0.pointee.sin_addr.s_addr)
        return isCredentialHost(host) || includesMetadata && isMetadataHost(host)
      }
    case AF_INET6:
      guard size >= MemoryLayout<sockaddr_in6>.size else { return false }
      return unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
        unsafe withUnsafeBytes(of: address.pointee.sin6_addr) { bytes in
          let host = unsafe Array(bytes)
          return isCredentialHost(host) || includesMetadata && isMetadataHost(host)
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

/// Whether an IPv4 address is 169.254.169.254, the instance metadata of Amazon EC2.
private func isMetadataHost(_ address: UInt32) -> Bool { address == 0xA9FE_A9FE }

/// Whether an IPv6 address, 16 bytes, is fd00:ec2::254, the instance metadata of Amazon EC2.
private func isMetadataHost(_ address: [UInt8]) -> Bool {
  address == [0xFD, 0x00, 0x0E, 0xC2] + [UInt8](repeating: 0, count: 10) + [0x02, 0x54]
}

/// Opens sockets to allowed addresses only, and remembers the last one that it refused.
///
/// libcurl asks it for every address that it is about to connect to, so nothing that a resolver says in between
/// makes a difference.
final class AddressGate {
  private var rule: AddressRule
  private let limits: ConnectionLimits?
  /// Whether it refused every address that libcurl asked for, so nothing else can have kept a connection from being made.
  var refused: Bool { hasRefused && !hasAllowed }
  private var hasRefused = false
  private var hasAllowed = false
  /// That address as text, such as `192.0.2.1`.
  private(set) var refusedAddress = ""
  /// The port of that address; 0 where it has none.
  private(set) var refusedPort: UInt16 = 0

  /// A gate that tells `limits` that there is an address.
  init(_ rule: AddressRule, _ limits: ConnectionLimits? = nil) {
    self.rule = rule
    self.limits = limits
  }

  /// Begins with another connection, for which `rule` holds.
  func begin(_ rule: AddressRule) {
    hasRefused = false
    hasAllowed = false
    self.rule = rule
  }

  func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    limits?.noteAddress()
    let size = unsafe Int(address.pointee.addrlen)
    // The address is longer than the `sockaddr` that libcurl declares; a pointer to the field alone might be to a copy.
    guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return CURL_SOCKET_BAD }
    let generic = unsafe UnsafeRawPointer(address).advanced(by: offset).assumingMemoryBound(to: sockaddr.self)
    guard unsafe rule.allows(generic, size: size) else {
      hasRefused = true
      refusedPort = unsafe port(of: generic, size: size)
      refusedAddress = unsafe text(of: generic, size: size)
      return CURL_SOCKET_BAD
    }
    hasAllowed = true
    let type = unsafe address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
    return unsafe socket(address.pointee.family, type, address.pointee.protocol)
  }
}

extension ConnectionConfiguration {
  /// Why `gate` kept a connection, whose TLS is `isSecure`, from being made; nil if it let libcurl try an address.
  func refusal(_ gate: AddressGate, secure isSecure: Bool) -> HTTPError? {
    guard gate.refused else { return nil }
    guard case .hostsWithoutTLS = addressRule(secure: isSecure) else {
      return .withoutTLS(
        "\(gate.refusedAddress) may not be asked for credentials without TLS; "
          + "allowed are loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23")
    }
    return .withoutTLS(
      "refused to connect to \(gate.refusedAddress) over http://: the request, session token included, would be unencrypted. "
        + "Without TLS only this machine (127.0.0.0/8, ::1) and AWS's link-local addresses are allowed")
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

/// An IPv4 or IPv6 address as text (getnameinfo(3)).
private func text(of address: UnsafePointer<sockaddr>, size: Int) -> String {
  var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN) + 1 + Int(IF_NAMESIZE))
  let code = unsafe getnameinfo(
    address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
  guard code == 0 else { return "another address" }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func openSocket(
  _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
  _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
  guard let context = unsafe context, let address = unsafe address else { return CURL_SOCKET_BAD }
  return unsafe Unmanaged<AddressGate>.fromOpaque(context).takeUnretainedValue().open(address)
}
