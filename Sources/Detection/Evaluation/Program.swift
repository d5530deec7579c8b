/// The behaviors of all profiles, compiled so that an evaluation doesn't compare elements with each entry of a set.
struct Program: Sendable {
  struct Step: Sendable {
    enum Test: Sendable {
      case count(ComparisonOperator, UInt64)
      case number(ComparisonOperator, Double)
      case set(group: Int, index: Int, requiresMembers: Bool)
      case statistical(StatisticalRule)
      /// A statistical threshold whose percentiles come from sketches.
      case shared(StatisticalRule)
      case baseline(LearnedTest)
      /// On a device, a statistical threshold, which isn't evaluated.
      case none
    }

    let key: BehaviorKey
    let behavior: Behavior
    let slot: Int
    let test: Test
    /// The length of a window in milliseconds; nil if each report is a datapoint.
    let window: UInt64?
    let isSum: Bool
    /// Whether a sum that violates the bound is counted at once, because it can't conform again within its window.
    let decidesEarly: Bool
    let needed: (toAlarm: UInt8, toClear: UInt8)
  }

  /// How a datapoint is compared with a learned baseline.
  struct LearnedTest: Sendable {
    /// The position in ``ThingState/baselines``.
    let index: Int
    let scale: LogarithmicScale
    let margin: Int
  }

  private(set) var steps: [Step] = []
  private(set) var groups: [SetGroup] = []
  private(set) var table = MetricTable()
  /// The windows of statistical thresholds before the first report; nil if there are none.
  private(set) var fleet: Fleet?
  private(set) var baselineCount = 0
  private var positions: [BehaviorKey: Int] = [:]

  /// Compiles profiles. `population` is what statistical thresholds compare things with.
  init(_ profiles: [SecurityProfile], _ population: Evaluator.Population = .input) {
    /// The set values of each metric and kind, and the position of each in the list.
    struct GroupKey: Hashable {
      let slot: Int
      let kind: ValueKind
    }
    var values: [GroupKey: (group: Int, values: [CriteriaValue])] = [:]
    for profile in profiles {
      for behavior in profile.behaviors {
        let slot = table.insert(behavior.metric)
        var test = statisticalTest(behavior, population)
        if case .value(let value) = behavior.criteria.threshold,
          let comparison = behavior.criteria.comparisonOperator
        {
          switch value {
          case .count(let bound): test = .count(comparison, bound)
          case .number(let bound): test = .number(comparison, bound)
          default:
            let key = GroupKey(slot: slot, kind: value.kind)
            let group = values[key]?.group ?? values.count
            let index = values[key]?.values.count ?? 0
            values[key, default: (group, [])].values.append(value)
            test = .set(group: group, index: index, requiresMembers: comparison.requiresMembers)
          }
        }
        if case .machineLearning(let level) = behavior.criteria.threshold,
          let confidence = Confidence(rawValue: level)
        {
          test = .baseline(
            LearnedTest(
              index: baselineCount, scale: LogarithmicScale(of: behavior.metric), margin: confidence.margin))
          baselineCount += 1
        }
        steps.append(Step(behavior, of: profile, slot: slot, test: test))
      }
    }
    groups = values.sorted { $0.value.group < $1.value.group }
      .compactMap { SetGroup(slot: $0.key.slot, $0.value.values) }
    positions = Dictionary(
      steps.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Returns the position of a behavior's step; nil if no behavior has this key. `expected` is the likely one.
  func position(of key: BehaviorKey, expected: Int) -> Int? {
    if expected < steps.count, steps[expected].key == key { return expected }
    return positions[key]
  }
}

extension Program {
  /// Returns the test of a statistical threshold; `none` for other behaviors.
  private mutating func statisticalTest(
    _ behavior: Behavior, _ population: Evaluator.Population
  ) -> Step.Test {
    guard population != .none, case .statistical(let statistic) = behavior.criteria.threshold,
      let percentile = Percentile(statistic), let comparison = behavior.criteria.comparisonOperator,
      let seconds = behavior.criteria.durationSeconds, seconds > 0
    else { return .none }
    let isNumber = if case .custom = behavior.metric { true } else { false }
    func rule(_ index: Int) -> StatisticalRule {
      StatisticalRule(comparison: comparison, percentile: percentile, isNumber: isNumber, fleetIndex: index)
    }
    if population == .sketches { return .shared(rule(0)) }
    var fleet = fleet ?? Fleet()
    let index = fleet.appendBehavior(windowLength: seconds * 1_000)
    self.fleet = fleet
    return .statistical(rule(index))
  }
}

extension Program.Step {
  fileprivate init(_ behavior: Behavior, of profile: SecurityProfile, slot: Int, test: Test) {
    self.behavior = behavior
    self.slot = slot
    self.test = test
    let criteria = behavior.criteria
    key = BehaviorKey(
      profile: profile.name, behavior: behavior.name, metric: behavior.metric.name,
      fingerprint: behavior.fingerprint)
    window = criteria.durationSeconds.map { $0 * 1_000 }
    isSum = if case .device(let metric) = behavior.metric { metric.isDelta } else { false }
    decidesEarly = isSum && criteria.comparisonOperator?.isUpperBound == true
    needed = (
      UInt8(clamping: criteria.consecutiveDatapointsToAlarm ?? 1),
      UInt8(clamping: criteria.consecutiveDatapointsToClear ?? 1)
    )
  }

  /// Whether a count or a number violates a static bound.
  func isViolation(_ count: UInt64, _ number: Double) -> Bool {
    switch test {
    case .count(let comparison, let bound): !comparison.holds(count, bound)
    case .number(let comparison, let bound): !comparison.holds(number, bound)
    case .set, .statistical, .shared, .baseline, .none: false
    }
  }

  /// Returns a datapoint of the behavior's kind.
  func datapoint(_ count: UInt64, _ number: Double) -> Datapoint {
    switch test {
    case .number: .number(number)
    case .baseline(let test): test.scale.isOfCounts ? .count(count) : .number(number)
    default: .count(count)
    }
  }
}
