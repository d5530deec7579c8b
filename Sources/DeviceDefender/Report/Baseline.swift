/// What the next report's deltas are counted from: the counters of the last report that was acknowledged.
package struct Baseline: Equatable, Sendable {
  package internal(set) var networkCounters: NetworkCounters?
  package internal(set) var processorTimes: ProcessorTimes?

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
    if case .success(let times) = snapshot.processorTimes { processorTimes = times }
    guard case .success(var counters) = snapshot.networkCounters else { return }
    if counters.isPartial, let networkCounters {
      let index = InterfaceIndex(counters)
      counters.interfaces += networkCounters.interfaces.filter { index.counterpart(of: $0) == nil }
    }
    networkCounters = counters
  }

  /// Returns this baseline, with the blocks and interfaces that it lacks taken from `other`.
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
  /// What went through all interfaces since `earlier`.
  ///
  /// Counted interface by interface: one whose counter went backwards was reset, and counts from zero (a wrap of a
  /// 32-bit counter can't be told from that); one that is new counts from zero, unless `earlier` is partial and may just
  /// not have been able to read it; one that is gone counts nothing. A renamed interface stays the same interface. A sum
  /// beyond 64 bits is the largest number.
  package func traffic(since earlier: NetworkCounters) -> Traffic {
    let index = InterfaceIndex(earlier)
    let renamed = renaming(since: earlier, index)
    var sum = Traffic()
    for interface in interfaces {
      let former = interface.name == renamed?.now.name ? renamed?.former : nil
      let counterpart = index.counterpart(of: interface) ?? former
      // What a partly unreadable baseline doesn't know needn't be new.
      if counterpart == nil, earlier.isPartial { continue }
      sum.add(interface.traffic.since(counterpart?.traffic))
    }
    return sum
  }
}

extension NetworkCounters {
  /// The interface that has another name now than in `earlier`; nil if there was no renaming.
  ///
  /// Files have no numbers of interfaces. So exactly one name that is gone and one that is new are taken for a rename, if
  /// no counter of the new one is below the old one's: a new interface counts from zero. All others are new.
  private func renaming(
    since earlier: NetworkCounters, _ index: InterfaceIndex
  ) -> (former: InterfaceCounters, now: InterfaceCounters)? {
    // What is missing in a partial snapshot needn't be gone.
    guard !isPartial, !earlier.isPartial else { return nil }
    let new = interfaces.filter { index.counterpart(of: $0) == nil }
    guard new.count == 1 else { return nil }
    let ownIndex = InterfaceIndex(self)
    let gone = earlier.interfaces.filter { ownIndex.counterpart(of: $0) == nil }
    guard gone.count == 1 else { return nil }
    // Two numbers that differ are two interfaces.
    guard new[0].index == nil || gone[0].index == nil, new[0].traffic.reaches(gone[0].traffic) else {
      return nil
    }
    return (gone[0], new[0])
  }
}

/// Finds an interface among many.
private struct InterfaceIndex {
  private var byNumber: [UInt32: InterfaceCounters] = [:]
  private var byName: [String: InterfaceCounters] = [:]

  init(_ counters: NetworkCounters) {
    for interface in counters.interfaces {
      if let number = interface.index { byNumber[number] = interface }
      byName[interface.name] = interface
    }
  }

  /// The same interface: that of the same number where both have one (names change), else that of the same name.
  func counterpart(of other: InterfaceCounters) -> InterfaceCounters? {
    if let number = other.index, let found = byNumber[number] { return found }
    guard let found = byName[other.name], found.index == nil || other.index == nil else { return nil }
    return found
  }
}

extension Traffic {
  /// Whether no counter is below that of `earlier`.
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
