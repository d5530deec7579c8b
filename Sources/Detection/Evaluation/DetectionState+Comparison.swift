extension DetectionState {
  /// Returns whether the next report is judged the same after this state as after `other`.
  ///
  /// Ignores what a store needn't save with each report: the ids of reports and the times of metrics, and the length of a run that
  /// can't change an alarm: conforming datapoints without an alarm, and violating ones during an alarm. A learned baseline changes with
  /// each datapoint.
  package func isEquivalent(to other: DetectionState) -> Bool { significant == other.significant }

  private struct Significant: Hashable {
    let thing: String
    let key: BehaviorKey
  }

  private struct Value: Equatable {
    let state: BehaviorState
    let baseline: LearnedBaseline?
  }

  private var significant: [Significant: Value] {
    var result: [Significant: Value] = [:]
    for thing in things {
      for entry in thing.behaviors {
        var state = entry.state
        state.lastMetric = 0
        if state.alarmStart == nil { state.conforming = 0 } else { state.violating = 0 }
        guard state != BehaviorState() || entry.baseline != nil else { continue }
        result[Significant(thing: thing.name, key: entry.key)] = Value(state: state, baseline: entry.baseline)
      }
    }
    return result
  }

  /// The largest id of an evaluated report; nil if none was evaluated.
  package var lastReportID: UInt64? { things.compactMap(\.lastReportID).max() }

  /// Whether any alarm is active.
  package var hasAlarms: Bool {
    things.contains { thing in thing.behaviors.contains { $0.state.alarmStart != nil } }
  }
}
