import DeviceDefender

/// All set behaviors of one metric and one kind of value, compiled together.
struct SetGroup: Sendable {
  private enum Members: Sendable {
    case ports(Partition<UInt16>)
    case addresses(v4: Partition<UInt32>, v6: Partition<UInt128>)
    case numbers([Double: [UInt64]])
    case strings([ExactString: [UInt64]])
  }

  let slot: Int
  let count: Int
  private let members: Members
  private let wordCount: Int

  /// Creates a group of the values of behaviors, all of one kind; nil if they aren't sets.
  init?(slot: Int, _ values: [CriteriaValue]) {
    self.slot = slot
    count = values.count
    wordCount = max(1, (values.count + 63) / 64)
    switch values.first?.kind {
    case .ports:
      members = .ports(
        Partition(
          values.map { value in
            if case .ports(let ports) = value { ports.map { $0...$0 } } else { [] }
          }))
    case .cidrs:
      let sets = values.map { value in if case .cidrs(let cidrs) = value { cidrs } else { [CIDR]() } }
      members = .addresses(
        v4: Partition(sets.map { $0.compactMap(\.v4Range) }),
        v6: Partition(sets.map { $0.compactMap(\.v6Range) }))
    case .numbers:
      members = .numbers(
        Self.table(values.map { value in if case .numbers(let numbers) = value { numbers } else { [] } }))
    case .strings:
      members = .strings(
        Self.table(
          values.map { value in
            if case .strings(let strings) = value { strings.map(ExactString.init) } else { [] }
          }))
    default: return nil
    }
  }

  private static func table<Element: Hashable>(_ sets: [[Element]]) -> [Element: [UInt64]] {
    let none = [UInt64](repeating: 0, count: max(1, (sets.count + 63) / 64))
    var table: [Element: [UInt64]] = [:]
    for (index, set) in sets.enumerated() {
      for element in set { table[element, default: none][index / 64] |= UInt64(1) << UInt64(index % 64) }
    }
    return table
  }

  /// The sets that contain at least one element of a datapoint, and the sets that contain all of its elements.
  struct Coverage {
    /// Bit `n`: set `n` contains at least one element.
    var any: [UInt64] = []
    /// Bit `n`: set `n` contains all elements.
    var all: [UInt64] = []
    var isPresent = false

    /// Returns whether a datapoint conforms to set `set`: all of its elements are members if `requiresMembers`, else none is.
    @inline(__always)
    func conforms(_ set: Int, requiresMembers: Bool) -> Bool {
      let bit = UInt64(1) << UInt64(set % 64)
      return requiresMembers ? all[set / 64] & bit != 0 : any[set / 64] & bit == 0
    }
  }

  /// Computes the coverage of a datapoint. `isPresent` is false if the datapoint is missing or of another kind.
  func cover(_ datapoint: Datapoint?, _ coverage: inout Coverage) {
    if coverage.any.isEmpty {
      coverage.any = Array(repeating: 0, count: wordCount)
      coverage.all = coverage.any
    }
    for index in 0..<wordCount {
      coverage.any[index] = 0
      coverage.all[index] = .max
    }
    coverage.isPresent = true
    switch (datapoint, members) {
    case (.ports(let ports), .ports(let partition)):
      partition.accumulate(ports, any: &coverage.any, all: &coverage.all)
    case (.addresses(let addresses), .addresses(let v4, let v6)):
      v4.accumulate(addresses.v4, any: &coverage.any, all: &coverage.all)
      v6.accumulate(addresses.v6, any: &coverage.any, all: &coverage.all)
    case (.numbers(let numbers), .numbers(let table)):
      accumulate(numbers, table, &coverage)
    case (.strings(let strings), .strings(let table)):
      accumulate(strings.lazy.map(ExactString.init), table, &coverage)
    default: coverage.isPresent = false
    }
  }

  private func accumulate<Element: Hashable>(
    _ elements: some Sequence<Element>, _ table: [Element: [UInt64]], _ coverage: inout Coverage
  ) {
    for element in elements {
      if let words = table[element] {
        for index in 0..<wordCount {
          coverage.any[index] |= words[index]
          coverage.all[index] &= words[index]
        }
      } else {
        for index in 0..<wordCount { coverage.all[index] = 0 }
      }
    }
  }

  /// Returns the elements of a datapoint that are members of set `set`; if `areMembers` is false, those that aren't.
  func elements(of datapoint: Datapoint, in set: Int, areMembers: Bool) -> Datapoint {
    let bit = UInt64(1) << UInt64(set % 64)
    switch (datapoint, members) {
    case (.ports(let ports), .ports(let partition)):
      return .ports(ports.filter { partition.contains($0, set: set) == areMembers })
    case (.addresses(let addresses), .addresses(let v4, let v6)):
      var list = AddressList()
      for number in addresses.v4 where v4.contains(number, set: set) == areMembers { list.append(v4: number) }
      for number in addresses.v6 where v6.contains(number, set: set) == areMembers {
        list.append(IPAddress(v6Number: number))
      }
      return .addresses(list)
    case (.numbers(let numbers), .numbers(let table)):
      return .numbers(numbers.filter { ((table[$0]?[set / 64] ?? 0) & bit != 0) == areMembers })
    case (.strings(let strings), .strings(let table)):
      return .strings(strings.filter { ((table[ExactString($0)]?[set / 64] ?? 0) & bit != 0) == areMembers })
    default: return datapoint
    }
  }
}

extension CIDR {
  fileprivate var v4Range: ClosedRange<UInt32>? {
    guard network.family == .v4 else { return nil }
    return network.v4Number...(network.v4Number | ~prefixMask(prefixLength))
  }

  fileprivate var v6Range: ClosedRange<UInt128>? {
    guard network.family == .v6 else { return nil }
    return network.v6Number...(network.v6Number | ~prefixMask(prefixLength))
  }
}
