/// What the next report's deltas are counted from: the counters of the last report that was acknowledged.
package struct Baseline: Equatable, Sendable {
  package private(set) var networkCounters: NetworkCounters?

  package init() {}

  /// The baseline after a report of `snapshot` was acknowledged.
  package init(_ snapshot: MetricsSnapshot) {
    self.init()
    advance(to: snapshot)
  }

  /// Moves on to `snapshot`, whose report was acknowledged.
  ///
  /// A block that `snapshot` couldn't read keeps what it had, and so does an interface in a partly unreadable one: its
  /// traffic is in the delta of the next report that can tell.
  package mutating func advance(to snapshot: MetricsSnapshot) {
    guard case .success(var counters) = snapshot.networkCounters else { return }
    if counters.isPartial, let networkCounters {
      counters.interfaces += networkCounters.interfaces.filter { counters.counterpart(of: $0) == nil }
    }
    networkCounters = counters
  }
}

extension NetworkCounters {
  /// What went through all interfaces since `earlier`.
  ///
  /// Counted interface by interface: one whose counter went backwards was reset, and counts from zero (a wrap of a
  /// 32-bit counter can't be told from that); one that is new counts from zero; one that is gone counts nothing. A
  /// sum beyond 64 bits is the largest number.
  package func traffic(since earlier: NetworkCounters) -> Traffic {
    var sum = Traffic()
    for interface in interfaces {
      sum.add(interface.traffic.since(earlier.counterpart(of: interface)?.traffic))
    }
    return sum
  }

  /// The same interface here: that of the same number where both have one (names change), else that of the same name.
  fileprivate func counterpart(of other: InterfaceCounters) -> InterfaceCounters? {
    interfaces.first { candidate in
      guard let index = candidate.index, let otherIndex = other.index else {
        return candidate.name == other.name
      }
      return index == otherIndex
    }
  }
}

extension Traffic {
  fileprivate func since(_ earlier: Traffic?) -> Traffic {
    guard let earlier else { return self }
    func delta(_ now: UInt64, _ before: UInt64) -> UInt64 { now >= before ? now - before : now }
    return Traffic(
      bytesIn: delta(bytesIn, earlier.bytesIn), bytesOut: delta(bytesOut, earlier.bytesOut),
      packetsIn: delta(packetsIn, earlier.packetsIn), packetsOut: delta(packetsOut, earlier.packetsOut))
  }

  fileprivate mutating func add(_ other: Traffic) {
    func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
      let (sum, overflow) = left.addingReportingOverflow(right)
      return overflow ? .max : sum
    }
    bytesIn = sum(bytesIn, other.bytesIn)
    bytesOut = sum(bytesOut, other.bytesOut)
    packetsIn = sum(packetsIn, other.packetsIn)
    packetsOut = sum(packetsOut, other.packetsOut)
  }
}
