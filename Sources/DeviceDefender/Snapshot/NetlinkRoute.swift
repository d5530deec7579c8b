import CLinux
import Glibc

/// Requests of rtnetlink(7) for the counters and addresses of interfaces.
enum NetlinkRoute {
  /// Requests the 64-bit counters of all interfaces (`RTM_GETSTATS`, Linux 4.7), at a tenth of the cost of
  /// `RTM_GETLINK`.
  static var statisticsRequest: (type: UInt16, payload: [UInt8]) {
    var payload: [UInt8] = [UInt8(AF_UNSPEC), 0, 0, 0]
    appendBytes(of: UInt32(0), to: &payload)
    appendBytes(of: UInt32(1) << UInt32(IFLA_STATS_LINK_64 - 1), to: &payload)
    return (UInt16(RTM_GETSTATS), payload)
  }

  /// Requests the addresses of all interfaces, of both families.
  static var addressRequest: (type: UInt16, payload: [UInt8]) {
    (UInt16(RTM_GETADDR), [UInt8](repeating: 0, count: InterfaceAddress.headSize))
  }
}

/// The counters of an interface in an answer of rtnetlink(7): `struct if_stats_msg` and its attributes.
struct InterfaceStatistics: Equatable {
  let index: UInt32
  let traffic: Traffic

  /// Parses the counters; nil if the message has counters other than the requested ones.
  init?(_ bytes: Span<UInt8>) throws(NetlinkError) {
    guard bytes.count >= 12, let index = bytes.integer(at: 4, as: UInt32.self) else {
      throw .malformed("statistics of \(bytes.count) bytes")
    }
    var traffic: Traffic?
    forEachAttribute(in: bytes.extracting(12..<bytes.count)) { type, payload in
      // struct rtnl_link_stats64 begins with rx_packets, tx_packets, rx_bytes, tx_bytes.
      if type == UInt16(IFLA_STATS_LINK_64), let packetsIn = payload.integer(at: 0, as: UInt64.self),
        let packetsOut = payload.integer(at: 8, as: UInt64.self),
        let bytesIn = payload.integer(at: 16, as: UInt64.self),
        let bytesOut = payload.integer(at: 24, as: UInt64.self)
      {
        traffic = Traffic(
          bytesIn: bytesIn, bytesOut: bytesOut, packetsIn: packetsIn, packetsOut: packetsOut)
      }
    }
    guard let traffic else { return nil }
    self.index = index
    self.traffic = traffic
  }
}

/// An address of an interface in an answer of rtnetlink(7): `struct ifaddrmsg` and its attributes.
struct InterfaceAddress: Equatable {
  static let headSize = 8

  let interfaceIndex: UInt32
  let address: IPAddress
  /// The label of the address: the name of the interface or of an alias. IPv6 addresses have none.
  let label: String?

  /// Parses the address; nil if its family is neither IPv4 nor IPv6.
  init?(_ bytes: Span<UInt8>) throws(NetlinkError) {
    guard bytes.count >= Self.headSize, let index = bytes.integer(at: 4, as: UInt32.self) else {
      throw .malformed("an address of \(bytes.count) bytes")
    }
    let family: IPAddress.Family
    switch Int32(bytes[0]) {
    case AF_INET: family = .v4
    case AF_INET6: family = .v6
    default: return nil
    }
    // On a point-to-point interface, IFA_ADDRESS is the peer's address and IFA_LOCAL is ours.
    var local: IPAddress?
    var address: IPAddress?
    var label: String?
    forEachAttribute(in: bytes.extracting(Self.headSize..<bytes.count)) { type, payload in
      switch Int(type) {
      case IFA_LOCAL: local = IPAddress(payload, family)
      case IFA_ADDRESS: address = IPAddress(payload, family)
      case IFA_LABEL: label = text(payload)
      default: break
      }
    }
    guard let found = local ?? address else { throw .malformed("an address message without an address") }
    interfaceIndex = index
    self.address = found
    self.label = label
  }
}

extension IPAddress {
  /// Parses an address in network order; nil if its size doesn't match its family.
  init?(_ bytes: Span<UInt8>, _ family: Family) {
    func word(_ index: Int) -> UInt32 {
      UInt32(bigEndian: bytes.integer(at: 4 * index, as: UInt32.self) ?? 0)
    }
    switch family {
    case .v4:
      guard bytes.count == 4 else { return nil }
      self.init(v4: word(0))
    case .v6:
      guard bytes.count == 16 else { return nil }
      self.init(v6Words: word(0), word(1), word(2), word(3))
    }
  }
}

/// Returns the text of a name attribute, which ends at its first zero byte; nil if it is empty.
private func text(_ bytes: Span<UInt8>) -> String? {
  var characters: [UInt8] = []
  for index in bytes.indices {
    if bytes[index] == 0 { break }
    characters.append(bytes[index])
  }
  return characters.isEmpty ? nil : String(decoding: characters, as: UTF8.self)
}
