import DeviceDefender

/// The networks of a stream of addresses of one family, in bounded memory.
///
/// If there are too many networks, the prefix of all of them becomes one bit shorter. So the result doesn't depend on the order of the
/// addresses.
struct NetworkSet<Number: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  /// The largest number of networks kept while addresses are added.
  static var capacity: Int { 4_096 }

  /// A network: its first address and the length of its prefix.
  struct Network: Equatable {
    let first: Number
    let length: Int
  }

  /// The length of the prefix of the kept networks.
  private var length: Int
  /// The shortest prefix that a network of the result may have. A larger network would hardly exclude anything.
  private let shortest: Int
  private var firsts: Set<Number> = []

  /// Creates an empty set. The networks have prefixes of `longest` to `shortest` bits.
  init(longest: Int, shortest: Int) {
    length = longest
    self.shortest = shortest
  }

  mutating func insert(_ address: Number) {
    firsts.insert(address & prefixMask(length))
    while firsts.count > Self.capacity {
      length -= 1
      firsts = Set(firsts.map { $0 & prefixMask(length) })
    }
  }

  /// Returns at most `limit` networks that contain all addresses, ascending; nil if one of them would be too large.
  ///
  /// If two networks are the two halves of a larger one, the larger one replaces them. While there are more than `limit` networks, the
  /// two that fit into the smallest common network are joined, too.
  func networks(atMost limit: Int) -> [Network]? {
    var networks = firsts.sorted().map { Network(first: $0, length: length) }
    if length < shortest, !networks.isEmpty { return nil }
    while let pair = Self.closest(networks, onlyFilling: networks.count <= limit) {
      guard pair.length >= shortest else { return nil }
      networks[pair.index] = Network(
        first: networks[pair.index].first & prefixMask(pair.length), length: pair.length)
      networks.remove(at: pair.index + 1)
    }
    return networks
  }

  /// Returns the first pair of neighbours with the longest common prefix; nil if there is none. If `onlyFilling` is true, considers
  /// only neighbours that are the two halves of the network with that prefix.
  private static func closest(_ networks: [Network], onlyFilling: Bool) -> (index: Int, length: Int)? {
    var found: (index: Int, length: Int)?
    for index in networks.indices.dropLast() {
      let (left, right) = (networks[index], networks[index + 1])
      let common = (left.first ^ right.first).leadingZeroBitCount
      let isFilling = left.length == common + 1 && right.length == common + 1
      if onlyFilling && !isFilling { continue }
      if common > found?.length ?? -1 { found = (index, common) }
    }
    return found
  }
}

/// The networks of a stream of addresses of both families.
struct LearnedNetworks: Sendable {
  /// The largest number of networks of each family in a profile.
  static let limit = 50

  // The addresses of a service or of a local network usually change within networks of this size.
  private var v4 = NetworkSet<UInt32>(longest: 24, shortest: 8)
  private var v6 = NetworkSet<UInt128>(longest: 64, shortest: 16)

  mutating func insert(_ list: AddressList) {
    for number in list.v4 { v4.insert(number) }
    for number in list.v6 { v6.insert(number) }
  }

  /// The networks, ascending; nil if the addresses are too scattered for a useful set.
  var cidrs: [CIDR]? {
    guard let v4 = v4.networks(atMost: Self.limit), let v6 = v6.networks(atMost: Self.limit) else {
      return nil
    }
    return v4.map { CIDR(IPAddress(v4: $0.first), $0.length) }
      + v6.map { CIDR(IPAddress(v6Number: $0.first), $0.length) }
  }
}
