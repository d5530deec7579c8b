package import Detection

/// The history of a fleet: the alarms, counters and lists of each thing over time.
///
/// Memory grows with the number of things, behaviors and buckets of ``TimeAxis``, not with the length of the input. The same reports in
/// the same order always give the same history.
package struct FleetHistory: Sendable {
  /// A behavior and what the history keeps for it.
  struct Rule: Sendable {
    let profile: String
    let behavior: Behavior
    /// The position of its counter in ``ThingHistory/counters``; nil if it compares no number.
    let counter: Int?
  }

  private struct RuleKey: Hashable {
    let profile: String
    let behavior: String
  }

  /// 2018-01-01 in seconds. AWS IoT Device Defender is younger, so an earlier time means that a device's clock wasn't set. Its
  /// reports are evaluated, but one of them would stretch the time axis over decades.
  static let firstPlausibleTime: UInt64 = 1_514_764_800
  /// 2028-01-01 in seconds. Reports until this time are never from the future, even if the clock of this computer isn't set.
  private static let firstFutureTime: UInt64 = 1_830_297_600
  /// By how many seconds a device's clock can be ahead of this computer's.
  private static let maximumLead: UInt64 = 86_400
  /// The number of reasons that the page shows.
  private static let maximumReasons = 20
  /// The length in characters to which a reason for skipping a report is cut.
  private static let reasonLength = 300
  /// The length in characters to which the value of an alarm is cut.
  private static let valueLength = 160

  let rules: [Rule]
  let plans: [CounterPlan]
  private let positions: [RuleKey: Int]
  private var evaluator: Evaluator
  private var indexes: [String: Int] = [:]
  private(set) var things: [ThingHistory] = []
  private(set) var axis: TimeAxis
  /// The times of the first and the last report on the time axis, in seconds.
  private(set) var period: ClosedRange<UInt64>?
  /// The number of evaluated reports.
  private(set) var reports = 0
  /// The number of evaluated reports with a time before 2018; the charts don't show them.
  private(set) var reportsWithoutTime = 0
  /// The number of evaluated reports with a time more than a day in the future; the charts don't show them.
  private(set) var reportsFromFuture = 0
  /// The number of reports that couldn't be read.
  private(set) var skippedReports = 0
  /// Why the first of them were skipped, and which inputs couldn't be read completely.
  private(set) var reasons: [String] = []
  /// Whether all inputs were read to their end.
  private(set) var isComplete = true

  /// The number of reports that were ignored because their report id wasn't greater than the last one of their thing.
  package var ignoredReports: Int { evaluator.ignoredReports }

  /// The number of reports that statistical thresholds ignored, because their window was over.
  package var lateReports: Int { evaluator.lateReports }

  /// Which metrics the reader must extract from reports.
  package var table: MetricTable { evaluator.table.withDeviceMetrics }

  /// Creates an empty history. `now` is the current time in seconds since the epoch; reports that are more than a day later are evaluated,
  /// but not drawn.
  package init(_ profiles: [SecurityProfile], now: UInt64) {
    evaluator = Evaluator(profiles)
    let (latest, isOverflow) = max(now, Self.firstFutureTime).addingReportingOverflow(Self.maximumLead)
    axis = TimeAxis(until: isOverflow ? .max : latest)
    var rules: [Rule] = []
    var plans: [CounterPlan] = []
    var positions: [RuleKey: Int] = [:]
    for profile in profiles {
      for behavior in profile.behaviors {
        var counter: Int?
        if let plan = CounterPlan(behavior, evaluator.table) {
          counter = plans.firstIndex(of: plan) ?? plans.count
          if counter == plans.count { plans.append(plan) }
        }
        positions[RuleKey(profile: profile.name, behavior: behavior.name)] = rules.count
        rules.append(Rule(profile: profile.name, behavior: behavior, counter: counter))
      }
    }
    (self.rules, self.plans, self.positions) = (rules, plans, positions)
  }

  /// Evaluates a report and adds it.
  package mutating func add(_ observation: Observation) {
    let ignored = evaluator.ignoredReports
    let events = evaluator.evaluate(observation)
    let index = index(of: observation.thing)
    guard evaluator.ignoredReports == ignored else {
      things[index].ignoredReports += 1
      return
    }
    let time = observation.time / 1_000
    reports += 1
    things[index].reports += 1
    if axis.isPlausible(time) {
      let factor = axis.include(time)
      if factor > 1 {
        for position in things.indices { things[position].merge(by: factor, plans) }
      }
      period = min(period?.lowerBound ?? time, time)...max(period?.upperBound ?? time, time)
      things[index].add(observation, plans, axis)
    } else if time < Self.firstPlausibleTime {
      reportsWithoutTime += 1
    } else {
      reportsFromFuture += 1
    }
    if time <= axis.latestPlausibleTime {
      things[index].lastReport = max(time, things[index].lastReport)
    }
    for event in events { add(event) }
  }

  private mutating func add(_ event: ViolationEvent) {
    let key = RuleKey(profile: event.profile, behavior: event.behavior.name)
    guard let rule = positions[key] else { return }
    // An event can concern a different thing than the report that caused it.
    let index = index(of: event.thing)
    switch event.type {
    case .inAlarm:
      let value = shortened(event.metricValue?.summary ?? "", to: Self.valueLength)
      things[index].alarms[rule, default: AlarmHistory()].begin(at: event.time, value: value, axis)
    case .alarmCleared, .alarmInvalidated:
      // If a report from the future ends an alarm, the alarm is known to have lasted until the last report before it.
      let time = event.time <= axis.latestPlausibleTime ? event.time : things[index].lastReport
      things[index].alarms[rule]?.end(at: time, axis)
    }
  }

  /// Ends the input: adds the open windows, and the active alarms up to the last report of each thing.
  ///
  /// - Parameters:
  ///   - skipped: the number of reports that couldn't be read.
  ///   - reasons: why the first of them were skipped.
  ///   - isComplete: whether all inputs were read to their end.
  package mutating func finish(skipped: Int, reasons: [String], isComplete: Bool) {
    for index in things.indices { things[index].finish(plans, axis) }
    skippedReports = skipped
    self.reasons = reasons.prefix(Self.maximumReasons).map { shortened($0, to: Self.reasonLength) }
    self.isComplete = isComplete
  }

  private mutating func index(of thing: String) -> Int {
    if let index = indexes[thing] { return index }
    let index = things.count
    indexes[thing] = index
    things.append(ThingHistory(name: thing, counters: plans.count))
    return index
  }
}

extension CounterPlan {
  /// Creates the plan of a behavior; nil if it compares no number.
  fileprivate init?(_ behavior: Behavior, _ table: MetricTable) {
    let criteria = behavior.criteria
    switch criteria.threshold {
    case .value(.count), .value(.number), .statistical, .machineLearning: break
    case .value: return nil
    }
    guard let slot = table.slot(of: behavior.metric) else { return nil }
    self.slot = slot
    window = criteria.durationSeconds
    isSum = if case .device(let metric) = behavior.metric { metric.isDelta } else { false }
    keepsSmallest =
      criteria.comparisonOperator == .greaterThan || criteria.comparisonOperator == .greaterThanEquals
  }
}

/// Returns at most `limit` characters of a text, with an ellipsis if it is longer. Counts Unicode scalars, because one character can
/// have any number of them.
func shortened(_ text: String, to limit: Int) -> String {
  let scalars = text.unicodeScalars
  guard let end = scalars.index(scalars.startIndex, offsetBy: limit, limitedBy: scalars.endIndex),
    end < scalars.endIndex
  else { return text }
  return String(scalars[..<end]) + "…"
}
