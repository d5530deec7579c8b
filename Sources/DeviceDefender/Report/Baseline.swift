/// The last acknowledged snapshot's counters. The deltas of the next report are computed against them.
package struct Baseline: Equatable, Sendable {
  package internal(set) var networkCounters: NetworkCounters?
  package internal(set) var processorTimes: ProcessorTimes?

  package init() {}

  /// Creates the baseline after a report of `snapshot` was acknowledged.
  package init(_ snapshot: MetricsSnapshot) {
    self.init()
    advance(to: snapshot)
  }

  /// Moves the baseline to `snapshot`, whose report was acknowledged.
  ///
  /// A block that `snapshot` lacks keeps its old values, and so does an interface that a partial block lacks.
  /// The next report that can read them includes their traffic.
  package mutating func advance(to snapshot: MetricsSnapshot) {
    if case .success(let times) = snapshot.processorTimes { processorTimes = times }
    guard case .success(var counters) = snapshot.networkCounters else { return }
    if counters.isPartial, let networkCounters {
      let index = InterfaceIndex(counters)
      counters.interfaces += networkCounters.interfaces.filter { index.counterpart(of: $0) == nil }
    }
    networkCounters = counters
  }

  /// Returns this baseline, with missing blocks and interfaces added from `other`.
  package func completed(by other: Baseline) -> Baseline {
    var result = self
    result.processorTimes = processorTimes ?? other.processorTimes
    guard var counters = networkCounters, let others = other.networkCounters else {
      result.networkCounters = networkCounters ?? other.networkCounters
      return result
    }
    guard counters.isPartial else { return result }
    let index = InterfaceIndex(counters)
    counters.interfaces += others.interfaces.filter { index.counterpart(of: $0) == nil }
    counters.isPartial = others.isPartial
    result.networkCounters = counters
    return result
  }
}

extension NetworkCounters {
  /// Returns the traffic of all interfaces since `earlier`.
  ///
  /// Computed for each interface, then added up; a sum beyond 64 bits is clamped to the largest number.
  ///
  /// - If a counter decreased, it was reset and counts from zero (a wrapped 32-bit counter looks the same).
  ///
  /// - A new interface counts from zero. If `earlier` is partial, an interface that it lacks isn't counted,
  ///   because it may be an old one that couldn't be read.
  ///
  /// - A removed interface isn't counted. A renamed interface stays the same interface.
  package func traffic(since earlier: NetworkCounters) -> Traffic {
    let index = InterfaceIndex(earlier)
    let renamed = renaming(since: earlier, index)
    var sum = Traffic()
    for interface in interfaces {
      let former = interface.name == renamed?.now.name ? renamed?.former : nil
      let counterpart = index.counterpart(of: interface) ?? former
      // An interface that a partial baseline lacks may not be new.
      if counterpart == nil, earlier.isPartial { continue }
      sum.add(interface.traffic.since(counterpart?.traffic))
    }
    return sum
  }
}

extension NetworkCounters {
  /// Returns the interface whose name has changed since `earlier`; nil if none has.
  ///
  /// The files of procfs contain no interface indexes. So a rename is assumed if exactly one name has
  /// disappeared and exactly one is new, and no counter of the new interface is lower, because a new
  /// interface starts at zero. Otherwise, all interfaces with new names are new.
  private func renaming(
    since earlier: NetworkCounters, _ index: InterfaceIndex
  ) -> (former: InterfaceCounters, now: InterfaceCounters)? {
    // An interface that a partial snapshot lacks may still exist.
    guard !isPartial, !earlier.isPartial else { return nil }
    let new = interfaces.filter { index.counterpart(of: $0) == nil }
    guard new.count == 1 else { return nil }
    let ownIndex = InterfaceIndex(self)
    let gone = earlier.interfaces.filter { ownIndex.counterpart(of: $0) == nil }
    guard gone.count == 1 else { return nil }
    // Different indexes mean different interfaces.
    guard new[0].index == nil || gone[0].index == nil, new[0].traffic.reaches(gone[0].traffic) else {
      return nil
    }
    return (gone[0], new[0])
  }
}

/// Looks up interfaces by index and by name.
private struct InterfaceIndex {
  private var byNumber: [UInt32: InterfaceCounters] = [:]
  private var byName: [String: InterfaceCounters] = [:]

  init(_ counters: NetworkCounters) {
    for interface in counters.interfaces {
      if let number = interface.index { byNumber[number] = interface }
      byName[interface.name] = interface
    }
  }

  /// Returns the same interface in these counters: by index if both have one, because names change, otherwise
  /// by name.
  func counterpart(of other: InterfaceCounters) -> InterfaceCounters? {
    if let number = other.index, let found = byNumber[number] { return found }
    guard let found = byName[other.name], found.index == nil || other.index == nil else { return nil }
    return found
  }
}

extension Traffic {
  /// Returns whether every counter is at least that of `earlier`.
  fileprivate func reaches(_ earlier: Traffic) -> Bool {
    bytesIn >= earlier.bytesIn && bytesOut >= earlier.bytesOut && packetsIn >= earlier.packetsIn
      && packetsOut >= earlier.packetsOut
  }

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
