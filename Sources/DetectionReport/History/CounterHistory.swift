import Detection

/// A numeric metric that behaviors compare with a bound, and the windows in which they do.
struct CounterPlan: Hashable, Sendable {
  let slot: Int
  /// The length of a window in seconds; nil if each report is a datapoint.
  let window: UInt64?
  /// Whether a window adds up the values of its reports.
  let isSum: Bool
  /// Whether small values are violations, so that a bucket keeps its smallest one.
  let keepsSmallest: Bool
}

/// The datapoints of a counter of one thing.
struct CounterHistory: Equatable, Sendable {
  private var window: UInt64 = 0
  private var openValue: Double?
  /// The last value of a counter without windows.
  private var lastValue: Double?
  private(set) var values = BucketValues()
  /// The largest value and the time of its window or report; the smallest value if the counter keeps smallest values.
  private(set) var extreme: (value: Double, time: UInt64)?
  private(set) var datapoints = 0

  /// Adds the value of a report at `time`. `previous` is the time of the report directly before it; nil after a gap.
  mutating func add(
    _ value: Double, at time: UInt64, previous: UInt64?, _ plan: CounterPlan, _ axis: TimeAxis
  ) {
    guard let length = plan.window else {
      if let previous, let lastValue {
        // A value counts until the next report.
        for bucket in axis.bucket(at: previous)..<axis.bucket(at: time) {
          values.insert(Float(lastValue), bucket, keepsSmallest: plan.keepsSmallest)
        }
      }
      lastValue = value
      return record(value, at: time, plan, axis)
    }
    let window = time / length
    if let open = openValue {
      // As in the evaluator, a report of an earlier window can't change it.
      guard window >= self.window else { return }
      if window == self.window {
        openValue = plan.isSum ? open + value : value
        return
      }
      record(open, at: self.window * length, plan, axis)
    }
    (self.window, openValue) = (window, value)
  }

  /// Adds the window that is open at the end of the input. If the counter has a lower bound, the window is left out: before its end, a
  /// window is a datapoint only if its sum exceeds an upper bound.
  mutating func finish(_ plan: CounterPlan, _ axis: TimeAxis) {
    guard let open = openValue, let length = plan.window, !plan.keepsSmallest else { return }
    openValue = nil
    record(open, at: window * length, plan, axis)
  }

  private mutating func record(_ value: Double, at time: UInt64, _ plan: CounterPlan, _ axis: TimeAxis) {
    datapoints += 1
    // A window covers all of its buckets.
    let last = axis.bucket(at: time + max(plan.window ?? 1, 1) - 1)
    for bucket in axis.bucket(at: time)...last {
      values.insert(Float(value), bucket, keepsSmallest: plan.keepsSmallest)
    }
    let isExtreme = extreme.map { plan.keepsSmallest ? value < $0.value : value > $0.value } ?? true
    if isExtreme { extreme = (value, time) }
  }

  mutating func merge(by factor: Int, _ plan: CounterPlan) {
    values.merge(by: factor, keepsSmallest: plan.keepsSmallest)
  }

  static func == (left: Self, right: Self) -> Bool {
    left.values == right.values && left.datapoints == right.datapoints && left.openValue == right.openValue
  }
}

extension Datapoint {
  /// The value of a counter; nil for a list.
  var numericValue: Double? {
    switch self {
    case .count(let count): Double(count)
    case .number(let number): number
    default: nil
    }
  }
}
