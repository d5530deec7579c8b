import CCurl
import Glibc

/// The addresses that a connection may go to, whatever name resolved to them.
package enum AddressRule: Sendable {
  case any
  /// The addresses that a request may go to without TLS: loopback, and the link-local addresses at which AWS provides
  /// credentials and instance metadata. A request to any other address could be read in transit.
  case hostsWithoutTLS
  /// Loopback, and the link-local addresses at which Amazon ECS and EKS provide credentials: the only addresses that a
  /// token may be sent to without TLS.
  case credentialHosts
  /// No address: for a trial that must not connect.
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

/// Returns whether an IPv4 address is in 127.0.0.0/8, or is 169.254.170.2 (ECS) or 169.254.170.23 (EKS).
package func isCredentialHost(_ address: UInt32) -> Bool {
  address >> 24 == 127 || address == 0xA9FE_AA02 || address == 0xA9FE_AA17
}

/// Returns whether an IPv6 address of 16 bytes is ::1 or fd00:ec2::23 (EKS).
package func isCredentialHost(_ address: [UInt8]) -> Bool {
  let zeros = [UInt8](repeating: 0, count: 10)
  return address == zeros + [0, 0, 0, 0, 0, 1] || address == [0xFD, 0x00, 0x0E, 0xC2] + zeros + [0x00, 0x23]
}

/// Returns whether an IPv4 address is 169.254.169.254, the instance metadata of Amazon EC2.
private func isMetadataHost(_ address: UInt32) -> Bool { address == 0xA9FE_A9FE }

/// Returns whether an IPv6 address of 16 bytes is fd00:ec2::254, the instance metadata of Amazon EC2.
private func isMetadataHost(_ address: [UInt8]) -> Bool {
  address == [0xFD, 0x00, 0x0E, 0xC2] + [UInt8](repeating: 0, count: 10) + [0x02, 0x54]
}

/// Opens sockets to allowed addresses only, and records the last address that it refused.
///
/// libcurl calls it for every address that it is about to connect to, so the rule holds whatever a resolver returns.
final class AddressGate {
  private var rule: AddressRule
  private let limits: ConnectionLimits?
  /// Whether it refused every address that libcurl tried, so that nothing else can have prevented the connection.
  var refused: Bool { hasRefused && !hasAllowed }
  private var hasRefused = false
  private var hasAllowed = false
  /// The last refused address as text, such as `192.0.2.1`.
  private(set) var refusedAddress = ""
  /// The port of the last refused address; 0 if it has none.
  private(set) var refusedPort: UInt16 = 0

  /// Creates a gate that notes in `limits` when an address is known.
  init(_ rule: AddressRule, _ limits: ConnectionLimits? = nil) {
    self.rule = rule
    self.limits = limits
  }

  /// Resets the gate for another connection, to which `rule` applies.
  func begin(_ rule: AddressRule) {
    hasRefused = false
    hasAllowed = false
    self.rule = rule
  }

  func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    limits?.noteAddress()
    let size = unsafe Int(address.pointee.addrlen)
    // The address is longer than the `sockaddr` that libcurl declares; a pointer to the field alone might point to a
    // copy.
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
  /// Returns why `gate` prevented a connection; nil if it let libcurl try an address.
  ///
  /// `isSecure` says whether the connection uses TLS.
  func refusal(_ gate: AddressGate, secure isSecure: Bool) -> HTTPError? {
    guard gate.refused else { return nil }
    guard case .hostsWithoutTLS = addressRule(secure: isSecure) else {
      return .withoutTLS(
        "credentials must not be requested from \(gate.refusedAddress) without TLS; "
          + "use https, or a loopback address, 169.254.170.2, 169.254.170.23 or fd00:ec2::23")
    }
    return .withoutTLS(
      "refused to connect to \(gate.refusedAddress) over http://: the request, session token included, would be unencrypted. "
        + "Without TLS only this machine (127.0.0.0/8, ::1) and AWS's link-local addresses are allowed")
  }
}

/// Returns the port of an IPv4 or IPv6 address, which both have at the same offset; 0 for any other address.
private func port(of address: UnsafePointer<sockaddr>, size: Int) -> UInt16 {
  let family = unsafe Int32(address.pointee.sa_family)
  guard family == AF_INET || family == AF_INET6, size >= MemoryLayout<sockaddr_in>.size else { return 0 }
  return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
    unsafe UInt16(bigEndian: $0.pointee.sin_port)
  }
}

/// Returns an IPv4 or IPv6 address as text (getnameinfo(3)).
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
