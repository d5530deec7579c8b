import Detection
import DeviceDefender
import Platform

/// Evaluates security profiles over the samples of `defender collect`.
struct SampleDetector: Sendable {
  private var evaluator: Evaluator
  private let thing: String

  init(_ profiles: [SecurityProfile], thing: String) {
    evaluator = Evaluator(profiles, windowsEnd: .clock)
    self.thing = thing
  }

  /// The lists of which snapshots must keep every entry, not only a sample.
  var completeSets: CompleteSets.Selection { CompleteSets.Selection(neededBy: evaluator) }

  var activeAlarms: Int { evaluator.activeAlarms }

  /// Evaluates a sample and returns its events.
  mutating func evaluate(_ snapshot: MetricsSnapshot, _ report: Report, at now: WallTime) -> [ViolationEvent]
  {
    let time = UInt64(clamping: now.nanosecondsSinceEpoch / 1_000_000)
    let observation = Observation(
      of: snapshot, traffic: report.networkStatistics, customMetrics: report.customMetrics, thing: thing,
      reportID: report.id, time: time, table: evaluator.table)
    return evaluator.advance(to: time, thing: thing) + evaluator.evaluate(observation)
  }
}

extension ViolationEvent {
  /// The event as a sentence for the log.
  var sentence: String {
    "\(type.rawValue): \(behavior.name) of \(profile), \(behavior.metric)"
      + (metricValue.map { ": \($0.summary)" } ?? "")
  }
}
