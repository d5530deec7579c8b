// Statistical thresholds: the value of each thing in a window is compared with a percentile over all things.
extension Evaluator {
  /// Evaluates the windows that the current report closes, for all things.
  mutating func judge(_ position: Int, at time: UInt64, _ events: inout [ViolationEvent]) {
    guard case .statistical(let rule) = program.steps[position].test else { return }
    for _ in 0..<(fleet?.closing(rule.fleetIndex) ?? 0) {
      guard let values = fleet?.takeOldest(rule.fleetIndex) else { return }
      let ascending = values.filter { $0 != Fleet.Values.none }.sorted()
      guard let bound = rule.percentile.value(of: ascending) else { continue }
      var found: [ViolationEvent] = []
      for (thing, value) in values.enumerated() where value != Fleet.Values.none {
        let isViolation = !rule.comparison.holds(value, bound)
        decide(position, thing, fleet?.names[thing] ?? "", at: time, isViolation: isViolation, &found) { _ in
          rule.datapoint(value)
        }
      }
      events += found.sorted { $0.thing.utf8.lexicographicallyPrecedes($1.thing.utf8) }
    }
  }

  /// Adds the value of a report to its window.
  mutating func addToFleet(_ position: Int, _ index: Int, _ observation: Observation) {
    guard case .statistical(let rule) = program.steps[position].test,
      let datapoint = observation.datapoints[program.steps[position].slot]
    else { return }
    let value: UInt64?
    switch datapoint {
    // The largest integer stands for a missing value.
    case .count(let count) where !rule.isNumber: value = min(count, .max - 1)
    // Numbers that aren't negative have the same order as their bit patterns. Adding zero turns -0 into 0.
    case .number(let number) where rule.isNumber: value = number >= 0 ? (number + 0).bitPattern : nil
    default: return
    }
    touch(position, index, observation.time)
    guard fleet?.isLate(rule.fleetIndex, index, at: observation.time) == false else {
      isLate = true
      return
    }
    let isSum = program.steps[position].isSum
    fleet?.update(rule.fleetIndex, index, at: observation.time) { former in
      guard isSum, let value, let former else { return value }
      let (sum, overflow) = former.addingReportingOverflow(value)
      return overflow ? .max - 1 : min(sum, .max - 1)
    }
  }
}

/// The test of a behavior with a statistical threshold.
struct StatisticalRule: Sendable {
  let comparison: ComparisonOperator
  let percentile: Percentile
  /// Whether the metric is a number, whose value is stored as the bits of a double. Otherwise it is a count.
  let isNumber: Bool
  /// The index of the behavior's values in the ``Fleet``; 0 if there is none.
  let fleetIndex: Int

  func datapoint(_ value: UInt64) -> Datapoint {
    isNumber ? .number(Double(bitPattern: value)) : .count(value)
  }
}
