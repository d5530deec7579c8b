/// Evaluates security profiles: datapoints in, events out. It does no I/O and reads no clock.
///
/// The same observations in the same order always produce the same events, even if ``state`` is saved and loaded between any
/// two of them.
package struct Evaluator: Sendable {
  /// What closes windows of durationSeconds.
  package enum WindowEnd: Sendable {
    /// A report of a later window. The event has the time of that report.
    case report
    /// The time passed to ``advance(to:thing:)``. The event has the time of the window's end.
    case clock
  }

  /// The things whose values statistical thresholds compare.
  package enum Population: Sendable {
    /// All things whose reports this evaluator gets.
    case input
    /// Those that other evaluators get, too. Their values come from ``sketches``.
    case sketches
    /// None, as on a device: statistical thresholds aren't evaluated.
    case none
  }

  /// The number of milliseconds without the metric after which an alarm becomes invalid: two days.
  static let longestGap: UInt64 = 2 * 86_400_000

  let program: Program
  private let windowEnd: WindowEnd
  private(set) var indexes: [String: Int] = [:]
  var things: [ThingState] = []
  /// The coverage of each group by the current observation. The array is reused for each observation.
  private var coverages: [SetGroup.Coverage]
  /// The number of observations that were ignored because their report id wasn't greater than the last one.
  package private(set) var ignoredReports = 0
  /// The windows of statistical thresholds; nil if there are none.
  var fleet: Fleet?
  /// Whether the current report has a value whose window is closed.
  var isLate = false
  /// The number of reports that statistical thresholds don't consider, because their window was closed.
  package private(set) var lateReports = 0
  /// The values of all things in windows that ``sketchKeys(for:)`` names.
  package var sketches: [SketchKey: PercentileSketch] = [:]
  /// The values that became final, for the sketches of their windows.
  package internal(set) var contributions: [SketchKey: PercentileSketch] = [:]

  /// Whether ``ongoing`` is kept.
  package var tracksOngoing = false
  /// The violations by the last observation that changed no alarm, because their alarm was active already.
  package private(set) var ongoing: [OngoingViolation] = []

  /// Creates an evaluator that continues from `state`. Alarms of behaviors that have changed since, or that no longer
  /// exist, become invalid with the next report of their thing.
  ///
  /// If `windowsEnd` is ``WindowEnd/clock``, statistical thresholds aren't evaluated.
  package init(
    _ profiles: [SecurityProfile], state: DetectionState = DetectionState(), windowsEnd: WindowEnd = .report,
    population: Population = .input
  ) {
    self.init(Program(profiles, windowsEnd == .report ? population : .none), state, windowsEnd)
  }

  /// Returns an evaluator of the same profiles that continues from another state.
  package func continued(from state: DetectionState) -> Evaluator {
    var evaluator = self
    evaluator.restart(from: state)
    return evaluator
  }

  private init(_ program: Program, _ state: DetectionState, _ windowEnd: WindowEnd) {
    self.program = program
    self.windowEnd = windowEnd
    coverages = Array(repeating: SetGroup.Coverage(), count: program.groups.count)
    restart(from: state)
  }

  /// Forgets everything, and continues from `state`.
  package mutating func restart(from state: DetectionState) {
    indexes.removeAll(keepingCapacity: true)
    things.removeAll(keepingCapacity: true)
    for thing in state.things {
      indexes[thing.name] = things.count
      things.append(restored(thing))
    }
    fleet = program.fleet
    if fleet != nil {
      let none = FleetState(times: Array(repeating: 0, count: things.count))
      (state.fleet ?? none).restore(&fleet, program, state.things.map(\.name))
    }
    (ignoredReports, lateReports, isLate) = (0, 0, false)
    (sketches, contributions, ongoing) = ([:], [:], [])
  }

  private func restored(_ thing: DetectionState.Thing) -> ThingState {
    var restored = ThingState(of: program, lastReportID: thing.lastReportID)
    // A state lists the behaviors in the order of the steps.
    var next = 0
    for entry in thing.behaviors {
      if let position = program.position(of: entry.key, expected: next) {
        next = position + 1
        restored.behaviors[position] = entry.state
        if case .baseline(let test) = program.steps[position].test, let baseline = entry.baseline {
          restored.baselines[test.index] = baseline
        }
      } else if let start = entry.state.alarmStart {
        restored.orphans.append(ThingState.Orphan(key: entry.key, alarmStart: start))
      } else {
        restored.hasUnknown = true
      }
    }
    return restored
  }

  /// The metrics that the behaviors need.
  package var table: MetricTable { program.table }

  /// The number of alarms that are active now.
  package var activeAlarms: Int {
    things.reduce(0) { $0 + $1.behaviors.count { $0.alarmStart != nil } }
  }

  /// The number of learned baselines, and how many of them have too few datapoints to raise an alarm.
  package var baselines: (all: Int, learning: Int) {
    things.reduce(into: (0, 0)) { sums, thing in
      sums.all += thing.baselines.count
      sums.learning += thing.baselines.count { $0.isLearning }
    }
  }

  /// The number of hours with datapoints that a learned baseline needs before its first alarm.
  package static var learningHours: Int { LearnedBaseline.learningHours }

  /// Evaluates one observation and returns its events in the order of the profiles and behaviors.
  ///
  /// An observation whose report id isn't greater than the last one of the same thing is ignored, unless the evaluator uses
  /// ``WindowEnd/clock``: a device gives each of its snapshots a new id, and a wrong id in a saved state must not end the evaluation.
  package mutating func evaluate(_ observation: Observation) -> [ViolationEvent] {
    let index = index(of: observation.thing)
    if !ongoing.isEmpty { ongoing = [] }
    if windowEnd == .report, let last = things[index].lastReportID, observation.reportID <= last {
      ignoredReports += 1
      return []
    }
    things[index].lastReportID = observation.reportID
    for group in coverages.indices {
      program.groups[group].cover(observation.datapoints[program.groups[group].slot], &coverages[group])
    }
    fleet?.advance(index, observation.thing, to: observation.time)
    isLate = false
    var events: [ViolationEvent] = []
    invalidateOrphans(of: index, observation.thing, at: observation.time, &events)
    for step in program.steps.indices { evaluate(step, index, observation, &events) }
    if isLate { lateReports += 1 }
    return events
  }

  /// Closes the windows of `thing` that ended by `time`, in milliseconds, and invalidates alarms whose metric is missing for
  /// more than two days. Does nothing unless the evaluator uses ``WindowEnd/clock``.
  package mutating func advance(to time: UInt64, thing: String) -> [ViolationEvent] {
    guard windowEnd == .clock, let index = indexes[thing] else { return [] }
    var events: [ViolationEvent] = []
    for step in program.steps.indices {
      closeWindow(step, index, thing, at: time, &events)
      invalidate(step, index, thing, at: time, &events)
    }
    return events
  }

  /// Invalidates alarms of `thing` without a report: those of behaviors that changed or no longer exist, and those whose metric
  /// is missing for more than two days before `time`, in milliseconds.
  package mutating func invalidateAlarms(of thing: String, at time: UInt64) -> [ViolationEvent] {
    guard let index = indexes[thing] else { return [] }
    var events: [ViolationEvent] = []
    invalidateOrphans(of: index, thing, at: time, &events)
    for step in program.steps.indices { invalidate(step, index, thing, at: time, &events) }
    return events
  }

  private mutating func index(of thing: String) -> Int {
    if let index = indexes[thing] { return index }
    let index = things.count
    indexes[thing] = index
    things.append(ThingState(of: program, lastReportID: nil))
    return index
  }

  private mutating func invalidateOrphans(
    of index: Int, _ thing: String, at time: UInt64, _ events: inout [ViolationEvent]
  ) {
    for orphan in things[index].orphans {
      let key = orphan.key
      events.append(
        ViolationEvent(
          id: violationID(
            thing: thing, profile: key.profile, behavior: key.behavior, start: orphan.alarmStart),
          thing: thing, profile: key.profile,
          behavior: .former(name: key.behavior, metric: key.metric), metricValue: nil,
          type: .alarmInvalidated, time: time / 1_000))
    }
    if !things[index].orphans.isEmpty { things[index].orphans = [] }
  }

  private mutating func evaluate(
    _ position: Int, _ index: Int, _ observation: Observation, _ events: inout [ViolationEvent]
  ) {
    let time = observation.time
    if case .shared = program.steps[position].test {
      closeShared(position, index, observation, &events)
    } else {
      closeWindow(position, index, observation.thing, at: time, &events)
    }
    if fleet != nil { judge(position, at: time, &events) }
    if things[index].behaviors[position].alarmStart != nil {
      invalidate(position, index, observation.thing, at: time, &events)
    }
    let slot = program.steps[position].slot
    switch program.steps[position].test {
    case .count:
      guard case .count(let count)? = observation.datapoints[slot] else { return }
      take(count, 0, position, index, observation, &events)
    case .number:
      guard case .number(let number)? = observation.datapoints[slot] else { return }
      take(0, number, position, index, observation, &events)
    case .baseline(let test):
      switch observation.datapoints[slot] {
      case .count(let count)? where test.scale.isOfCounts:
        take(count, 0, position, index, observation, &events)
      case .number(let number)? where !test.scale.isOfCounts:
        take(0, number, position, index, observation, &events)
      default: return
      }
    case .set(let group, let set, let requiresMembers):
      guard coverages[group].isPresent else { return }
      touch(position, index, time)
      let conforms = coverages[group].conforms(set, requiresMembers: requiresMembers)
      decide(position, index, observation.thing, at: time, isViolation: !conforms, &events) { program in
        // Read here, because a copy of the list for each behavior would cost reference counting.
        guard let datapoint = observation.datapoints[slot] else { return .ports([]) }
        return conforms
          ? datapoint
          : program.groups[group].elements(of: datapoint, in: set, areMembers: !requiresMembers)
      }
    case .statistical: addToFleet(position, index, observation)
    case .shared: addShared(position, index, observation)
    case .none: break
    }
  }

  mutating func touch(_ position: Int, _ index: Int, _ time: UInt64) {
    things[index].behaviors[position].lastMetric = max(time, things[index].behaviors[position].lastMetric)
  }

  /// Processes the value of a report: as a datapoint, or as a part of a window.
  private mutating func take(
    _ count: UInt64, _ number: Double, _ position: Int, _ index: Int, _ observation: Observation,
    _ events: inout [ViolationEvent]
  ) {
    let (time, thing) = (observation.time, observation.thing)
    touch(position, index, time)
    guard let length = program.steps[position].window else {
      let isViolation = isViolation(count, number, position, index, at: time)
      decide(position, index, thing, at: time, isViolation: isViolation, &events) { program in
        program.steps[position].datapoint(count, number)
      }
      return
    }
    let window = time / length
    // A report that arrives after its window was closed can't change the datapoint. But if its time is two windows back or more, the
    // thing's clock was set back. Then the open window is dropped, because otherwise nothing would be evaluated until its time.
    if let last = things[index].behaviors[position].window,
      window < last || window == last && !things[index].behaviors[position].isOpen
    {
      guard window + 1 < last else { return }
    }
    things[index].behaviors[position].add(
      count, number, toWindow: window, isSum: program.steps[position].isSum)
    let state = things[index].behaviors[position]
    guard program.steps[position].decidesEarly, !state.isDecided,
      program.steps[position].isViolation(state.count, 0)
    else { return }
    things[index].behaviors[position].isDecided = true
    decide(position, index, thing, at: time, isViolation: true, &events) { _ in .count(state.count) }
  }

  /// Returns whether a datapoint violates the bound or the learned baseline, which learns from it. `time` is when the datapoint
  /// or its window began.
  private mutating func isViolation(
    _ count: UInt64, _ number: Double, _ position: Int, _ index: Int, at time: UInt64
  ) -> Bool {
    guard case .baseline(let test) = program.steps[position].test else {
      return program.steps[position].isViolation(count, number)
    }
    guard let place = test.scale.position(count, number) else { return false }
    return things[index].baselines[test.index].isUnusual(
      place, at: time, margin: test.margin, hasLowerLimit: test.scale.hasLowerLimit)
  }

  /// Closes the open window if `time` is after its end.
  private mutating func closeWindow(
    _ position: Int, _ index: Int, _ thing: String, at time: UInt64, _ events: inout [ViolationEvent]
  ) {
    guard let length = program.steps[position].window, things[index].behaviors[position].isOpen else {
      return
    }
    let state = things[index].behaviors[position]
    guard let window = state.window, time / length > window else { return }
    things[index].behaviors[position].isOpen = false
    guard !state.isDecided else { return }
    let isViolation = isViolation(state.count, state.number, position, index, at: window * length)
    let end = (window + 1) * length
    decide(
      position, index, thing, at: windowEnd == .clock ? end : time, isViolation: isViolation, &events
    ) { program in program.steps[position].datapoint(state.count, state.number) }
  }

  private mutating func invalidate(
    _ position: Int, _ index: Int, _ thing: String, at time: UInt64, _ events: inout [ViolationEvent]
  ) {
    let state = things[index].behaviors[position]
    guard state.alarmStart != nil, time > state.lastMetric, time - state.lastMetric > Self.longestGap else {
      return
    }
    append(.alarmInvalidated, position, index, thing, at: time, nil, &events)
    things[index].behaviors[position].violating = 0
    things[index].behaviors[position].conforming = 0
  }

  /// Counts a datapoint, and appends the event that it causes. `value` is evaluated only for an event, or for ``ongoing``.
  @inline(__always)
  mutating func decide(
    _ position: Int, _ index: Int, _ thing: String, at time: UInt64, isViolation: Bool,
    _ events: inout [ViolationEvent], value: (Program) -> Datapoint
  ) {
    let needed = program.steps[position].needed
    let type = things[index].behaviors[position].count(isViolation: isViolation, needed)
    guard type != nil || tracksOngoing && isViolation else { return }
    let start = things[index].behaviors[position].alarmStart
    guard type != nil || start != nil else { return }
    let value = MetricValue(value(program))
    if let type {
      append(type, position, index, thing, at: time, value, &events)
    } else if let start {
      let key = program.steps[position].key
      let id = violationID(thing: thing, profile: key.profile, behavior: key.behavior, start: start)
      ongoing.append(OngoingViolation(id: id, value: value, time: time / 1_000))
    }
  }

  private mutating func append(
    _ type: ViolationEvent.EventType, _ position: Int, _ index: Int, _ thing: String, at time: UInt64,
    _ value: MetricValue?, _ events: inout [ViolationEvent]
  ) {
    let step = program.steps[position]
    let start = things[index].behaviors[position].alarmStart ?? time
    things[index].behaviors[position].alarmStart = type == .inAlarm ? time : nil
    events.append(
      ViolationEvent(
        id: violationID(
          thing: thing, profile: step.key.profile, behavior: step.key.behavior, start: start),
        thing: thing, profile: step.key.profile, behavior: .current(step.behavior), metricValue: value,
        type: type, time: time / 1_000))
  }
}

extension BehaviorState {
  /// Adds a value to a window. If another window or none is open, opens this one first.
  fileprivate mutating func add(_ count: UInt64, _ number: Double, toWindow window: UInt64, isSum: Bool) {
    if self.window != window {
      self.window = window
      isOpen = true
      isDecided = false
      self.count = 0
    }
    if isSum {
      let (sum, overflow) = self.count.addingReportingOverflow(count)
      self.count = overflow ? .max : sum
    } else {
      self.count = count
    }
    self.number = number
  }
}
