// Statistical thresholds of things that several evaluators evaluate: the percentile comes from sketches, which they share.
//
// A thing's value in a window is final when the thing sends a report in a later window. It is then counted in the window's sketch, and
// compared with the percentile when the thing sends a report after the end of the following window: by then, the other things
// that report in each window have been counted.
extension Evaluator {
  /// Returns the sketches that these observations of one thing, in this order, are compared with.
  package func sketchKeys(for observations: [Observation]) -> Set<SketchKey> {
    var keys: Set<SketchKey> = []
    for (position, step) in program.steps.enumerated() {
      guard case .shared = step.test, let length = step.window, let first = observations.first else {
        continue
      }
      var windows = Set(observations.filter { $0.datapoints[step.slot] != nil }.map { $0.time / length })
      if let index = indexes[first.thing], let window = things[index].behaviors[position].window {
        let state = things[index].behaviors[position]
        if state.isOpen { windows.insert(window) }
        if state.pending != nil, window > 0 { windows.insert(window - 1) }
      }
      let last = observations.map { $0.time / length }.max() ?? 0
      for window in windows where window + 2 <= last { keys.insert(step.sketchKey(window, length)) }
    }
    return keys
  }

  /// Compares the values of windows that are complete, and counts those that are final.
  mutating func closeShared(
    _ position: Int, _ index: Int, _ observation: Observation, _ events: inout [ViolationEvent]
  ) {
    guard case .shared(let rule) = program.steps[position].test, let length = program.steps[position].window
    else { return }
    let state = things[index].behaviors[position]
    let window = observation.time / length
    guard let last = state.window, window > last, state.isOpen || state.pending != nil else { return }
    let key = program.steps[position].sketchKey(last, length)
    things[index].behaviors[position].pending = nil
    things[index].behaviors[position].isOpen = false
    things[index].behaviors[position].window = window
    if let pending = state.pending, last > 0 {
      let former = program.steps[position].sketchKey(last - 1, length)
      compare(pending, rule, former, position, index, observation, &events)
    }
    guard state.isOpen else { return }
    contributions[key, default: PercentileSketch()].add(rule.bucket(state.count))
    if window == last + 1 {
      things[index].behaviors[position].pending = state.count
    } else {
      compare(state.count, rule, key, position, index, observation, &events)
    }
  }

  /// Compares the value of a window with the percentile. Without values of other things, or of an earlier report, there is no datapoint.
  private mutating func compare(
    _ value: UInt64, _ rule: StatisticalRule, _ key: SketchKey, _ position: Int, _ index: Int,
    _ observation: Observation, _ events: inout [ViolationEvent]
  ) {
    guard var sketch = sketches[key], !sketch.isEmpty else { return }
    if let own = contributions[key] { sketch.merge(own) }
    guard let bound = sketch.bucket(at: rule.percentile) else { return }
    // Values of one bucket count as equal, also to the percentile.
    let isViolation = !rule.comparison.holds(rule.bucket(value), bound)
    decide(
      position, index, observation.thing, at: observation.time, isViolation: isViolation, &events
    ) { _ in rule.datapoint(value) }
  }

  /// Adds the value of a report to its window.
  mutating func addShared(_ position: Int, _ index: Int, _ observation: Observation) {
    guard case .shared(let rule) = program.steps[position].test, let length = program.steps[position].window,
      let datapoint = observation.datapoints[program.steps[position].slot]
    else { return }
    let value: UInt64?
    switch datapoint {
    case .count(let count) where !rule.isNumber: value = count
    case .number(let number) where rule.isNumber: value = number >= 0 ? (number + 0).bitPattern : nil
    default: return
    }
    touch(position, index, observation.time)
    let window = observation.time / length
    let last = things[index].behaviors[position].window ?? window
    if window < last {
      // As for other windows: two windows back or more, the thing's clock was set back.
      guard window + 1 < last else { return }
      things[index].behaviors[position].isOpen = false
      things[index].behaviors[position].pending = nil
    }
    let state = things[index].behaviors[position]
    let isSum = program.steps[position].isSum && state.isOpen && state.window == window
    things[index].behaviors[position].window = window
    things[index].behaviors[position].isOpen = value != nil
    guard let value else { return }
    let (sum, overflow) = state.count.addingReportingOverflow(value)
    things[index].behaviors[position].count = isSum ? (overflow ? .max : sum) : value
  }
}

extension StatisticalRule {
  /// Returns the bucket of a value, which is a count or the bits of a number.
  fileprivate func bucket(_ value: UInt64) -> PercentileSketch.Bucket {
    isNumber
      ? PercentileSketch.bucket(of: Double(bitPattern: value)) : PercentileSketch.bucket(of: value)
  }
}

extension Program.Step {
  fileprivate func sketchKey(_ window: UInt64, _ length: UInt64) -> SketchKey {
    SketchKey(
      profile: key.profile, behavior: key.behavior, fingerprint: key.fingerprint, window: window,
      length: length)
  }
}
