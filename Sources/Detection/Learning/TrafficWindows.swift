/// The largest sums of traffic of any thing in windows of each possible length, and the interval between reports.
struct TrafficWindows: Sendable {
  /// The possible values of durationSeconds.
  static let durations: [UInt64] = [300, 600, 900, 1_800, 3_600]
  private static let metrics: [DeviceMetric] = [.bytesIn, .bytesOut, .packetsIn, .packetsOut]
  private static let perThing = metrics.count * durations.count

  /// The current window of one thing, metric and duration.
  private struct Window {
    var number = UInt64.max
    var sum: UInt64 = 0
  }

  /// The windows of all things. The windows of one thing are next to each other.
  private var windows: [Window] = []
  private var largest = [UInt64?](repeating: nil, count: perThing)
  /// The number of gaps between two reports of a thing, by their length in seconds. The last one stands for all longer ones.
  private var gaps = [Int](repeating: 0, count: 3_601)

  mutating func appendThing() {
    windows += Array(repeating: Window(), count: Self.perThing)
  }

  mutating func addGap(milliseconds: UInt64) {
    gaps[Int(clamping: min((milliseconds + 500) / 1_000, 3_600))] += 1
  }

  /// Adds the traffic of a report. It follows the rules of the evaluator, so the evaluator never computes a larger sum.
  mutating func add(_ observation: Observation, ofThing thing: Int) {
    for (position, metric) in Self.metrics.enumerated() {
      guard case .count(let count)? = observation.datapoints[metric.slot] else { continue }
      for (offset, duration) in Self.durations.enumerated() {
        let index = position * Self.durations.count + offset
        let place = thing * Self.perThing + index
        let number = observation.time / (duration * 1_000)
        // The evaluator ignores a report of an earlier window.
        if windows[place].number != .max, number < windows[place].number { continue }
        if windows[place].number != number { windows[place] = Window(number: number) }
        let (sum, overflow) = windows[place].sum.addingReportingOverflow(count)
        windows[place].sum = overflow ? .max : sum
        largest[index] = max(largest[index] ?? 0, windows[place].sum)
      }
    }
  }

  /// The largest sum of a metric in windows of `duration` seconds; nil if no report has the metric.
  func largest(_ metric: DeviceMetric, _ duration: UInt64) -> UInt64? {
    guard let position = Self.metrics.firstIndex(of: metric),
      let offset = Self.durations.firstIndex(of: duration)
    else { return nil }
    return largest[position * Self.durations.count + offset]
  }

  /// The median of the seconds between two reports of a thing; nil if each thing has only one.
  var interval: UInt64? {
    let total = gaps.reduce(0, +)
    var sum = 0
    for (seconds, count) in gaps.enumerated() where count > 0 {
      sum += count
      if sum * 2 >= total { return UInt64(seconds) }
    }
    return nil
  }

  /// The shortest duration in which two reports fit.
  ///
  /// A late report can fall into the next window. It then makes that window's sum at most one half larger, not twice as large.
  var shortDuration: UInt64 {
    let interval = interval ?? 0
    return Self.durations.first { $0 >= 2 * interval } ?? 3_600
  }
}
