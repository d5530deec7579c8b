/// The state of one behavior of one thing.
struct BehaviorState: Equatable, Sendable {
  /// The number of consecutive violating datapoints, up to the last datapoint; at most 10.
  var violating: UInt8 = 0
  /// The number of consecutive conforming datapoints, up to the last datapoint; at most 10.
  var conforming: UInt8 = 0
  /// The last window in which the metric was reported: the time divided by durationSeconds.
  var window: UInt64?
  /// Whether the window can still receive values.
  var isOpen = false
  /// Whether the window's datapoint was counted before the window's end, because the sum exceeds an upper bound.
  var isDecided = false
  /// The sum or the last value of the open window.
  var count: UInt64 = 0
  var number = 0.0
  /// The time of the last report with the metric, in milliseconds.
  var lastMetric: UInt64 = 0
  /// When the alarm began, in milliseconds; nil if there is no alarm.
  var alarmStart: UInt64?
  /// The value in the window before ``window``, if it is still to be compared with those of other things.
  var pending: UInt64?

  static let longestRun: UInt8 = 10

  /// Counts a datapoint; returns the change of the alarm that it causes, if any.
  mutating func count(
    isViolation: Bool, _ needed: (toAlarm: UInt8, toClear: UInt8)
  ) -> ViolationEvent.EventType? {
    if isViolation {
      conforming = 0
      violating = min(violating + 1, Self.longestRun)
      return alarmStart == nil && violating >= needed.toAlarm ? .inAlarm : nil
    }
    violating = 0
    conforming = min(conforming + 1, Self.longestRun)
    return alarmStart != nil && conforming >= needed.toClear ? .alarmCleared : nil
  }
}

/// Identifies a behavior across restarts and changes of the profiles.
struct BehaviorKey: Hashable, Sendable {
  let profile: String
  let behavior: String
  let metric: String
  let fingerprint: UInt64
}

/// The state of one thing.
struct ThingState: Equatable, Sendable {
  /// The id of the last report; nil before the first one.
  var lastReportID: UInt64?
  /// The states in the order of the behaviors.
  var behaviors: [BehaviorState]
  /// The learned baselines in the order of their behaviors.
  var baselines: [LearnedBaseline]
  /// The alarms of behaviors that were changed or removed, and when they began. The next report invalidates them.
  var orphans: [Orphan] = []
  /// Whether the saved state has behaviors that no longer exist, and had no alarm.
  var hasUnknown = false

  init(of program: Program, lastReportID: UInt64?) {
    self.lastReportID = lastReportID
    behaviors = Array(repeating: BehaviorState(), count: program.steps.count)
    baselines = Array(repeating: LearnedBaseline(), count: program.baselineCount)
  }

  struct Orphan: Equatable, Sendable {
    let key: BehaviorKey
    let alarmStart: UInt64
  }
}
