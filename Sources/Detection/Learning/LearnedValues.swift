import DeviceDefender

/// The different members of a stream of lists, up to a limit.
struct LearnedMembers<Element: Hashable & Sendable>: Sendable {
  /// The largest number of members of a set in a profile.
  static var limit: Int { 100 }

  /// The members; nil if there are too many or one of them is too long.
  private(set) var members: Set<Element>? = []

  mutating func insert(_ elements: [Element]) {
    guard var members else { return }
    // Without this, the insertion would copy the set.
    self.members = nil
    members.formUnion(elements)
    if members.count <= Self.limit { self.members = members }
  }

  /// Removes all members, because one of them can't be in a profile.
  mutating func giveUp() { members = nil }
}

/// The different ports of a stream of lists.
struct LearnedPorts: Sendable {
  private var bits = [UInt64](repeating: 0, count: 1_024)
  private(set) var isPresent = false

  mutating func insert(_ ports: [UInt16]) {
    isPresent = true
    for port in ports { bits[Int(port >> 6)] |= UInt64(1) << UInt64(port & 63) }
  }

  /// The ports, ascending.
  var ports: [UInt16] {
    (0...UInt16.max).filter { bits[Int($0 >> 6)] & UInt64(1) << UInt64($0 & 63) != 0 }
  }
}

/// What was learned about a custom metric. Values that don't have the type of the first value are ignored.
struct LearnedCustomMetric: Sendable {
  /// The longest string that can be a member of a set, in bytes.
  static let longestString = 1_024

  /// The kind of the value that a behavior compares the metric with.
  let kind: ValueKind
  private(set) var least = Double.infinity
  private(set) var most = -Double.infinity
  private(set) var numbers = LearnedMembers<Double>()
  private(set) var strings = LearnedMembers<ExactString>()
  private(set) var networks: LearnedNetworks?

  /// Creates the metric from its first datapoint; nil if a custom metric can't have such a datapoint.
  init?(_ datapoint: Datapoint) {
    switch datapoint {
    case .number: kind = .number
    case .numbers: kind = .numbers
    case .strings: kind = .strings
    case .addresses:
      kind = .cidrs
      networks = LearnedNetworks()
    case .count, .ports: return nil
    }
    insert(datapoint)
  }

  mutating func insert(_ datapoint: Datapoint) {
    switch (kind, datapoint) {
    case (.number, .number(let number)):
      least = min(least, number)
      most = max(most, number)
    case (.numbers, .numbers(let list)):
      // Adding zero turns -0 into 0, which is equal.
      numbers.insert(list.map { $0 + 0 })
    case (.strings, .strings(let list)):
      if list.contains(where: { $0.utf8.count > Self.longestString }) { strings.giveUp() }
      strings.insert(list.map(ExactString.init))
    case (.cidrs, .addresses(let list)): networks?.insert(list)
    default: break
    }
  }
}
