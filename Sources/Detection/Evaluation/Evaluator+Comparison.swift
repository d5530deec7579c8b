extension Evaluator {
  /// The states of things at one moment, to compare later ones with.
  package struct Checkpoint: Sendable {
    fileprivate let things: [ThingState]
  }

  package var checkpoint: Checkpoint { Checkpoint(things: things) }

  /// Returns whether the next report is judged the same now as it was at `checkpoint`, after the last ``restart(from:)``.
  ///
  /// Ignores what a store needn't save with each report: the ids of reports and the times of metrics, and the length of a run that
  /// can't change an alarm: conforming datapoints without an alarm, and violating ones during an alarm. A learned baseline changes with
  /// each datapoint.
  package func isEquivalent(to checkpoint: Checkpoint) -> Bool {
    for (index, thing) in things.enumerated() {
      let isKnown = index < checkpoint.things.count
      let former = isKnown ? checkpoint.things[index] : ThingState(of: program, lastReportID: nil)
      guard thing.isEquivalent(to: former) else { return false }
    }
    return true
  }
}

extension ThingState {
  fileprivate func isEquivalent(to other: ThingState) -> Bool {
    guard !hasUnknown, !other.hasUnknown, behaviors.count == other.behaviors.count else { return false }
    for index in behaviors.indices
    where behaviors[index].significant != other.behaviors[index].significant { return false }
    return baselines == other.baselines && orphans == other.orphans
  }
}

extension BehaviorState {
  /// The state without what doesn't change how the next datapoint is judged.
  fileprivate var significant: BehaviorState {
    var state = self
    state.lastMetric = 0
    if state.alarmStart == nil { state.conforming = 0 } else { state.violating = 0 }
    return state
  }
}
