package import Platform

/// Makes an agent's reports: takes snapshots, numbers the reports and keeps the baseline for their deltas.
///
/// Making a report doesn't move the baseline, because the report may get lost; ``acknowledge(_:)`` does. The
/// caller decides what is published, when, and what counts as an acknowledgement. This type reads no clock:
/// times are parameters.
package struct Reporter: ~Copyable {
  /// A report that was made, and the baseline that follows if it is acknowledged.
  package struct Draft: Sendable {
    package let report: Report
    private let snapshot: MetricsSnapshot
    private let baseline: Baseline?

    fileprivate init(_ report: Report, of snapshot: MetricsSnapshot, since baseline: Baseline?) {
      self.report = report
      self.snapshot = snapshot
      self.baseline = baseline
    }

    /// The baseline that includes this report.
    package var nextBaseline: Baseline {
      var next = baseline ?? Baseline()
      next.advance(to: snapshot)
      return next
    }
  }

  private var collector: Collector
  private var limits: ReportLimits
  private var sequence = ReportSequence()
  /// The baseline of the next report's deltas; nil before the first report.
  package private(set) var baseline: Baseline?
  /// Whether the baseline includes an acknowledged report of this process.
  private var isBaselineAcknowledged = false

  package init(collector: consuming Collector, limits: ReportLimits = ReportLimits()) {
    self.collector = collector
    self.limits = limits
  }

  /// The id of the last report, of this process or of an earlier one; 0 if there was none.
  package var lastReportID: UInt64 { sequence.last }

  /// Takes a snapshot. Reading ends at `deadline`; blocks that weren't complete by then are missing.
  package mutating func snapshot(until deadline: BootTime = .distantFuture) -> MetricsSnapshot {
    collector.snapshot(until: deadline)
  }

  /// Makes all later snapshots keep every element of the selected lists.
  package mutating func keepCompleteSets(_ selection: CompleteSets.Selection) {
    if collector.completeSets != selection { collector.completeSets = selection }
  }

  /// Makes a report of `snapshot` with the next id. The baseline doesn't change.
  ///
  /// - Parameters:
  ///   - snapshot: the values to report.
  ///   - now: the current time; the id is its second, or one more than the last id.
  ///   - other: replaces ``baseline``, for a series of reports that nobody acknowledges.
  /// - Returns: the report, and the baseline that includes it.
  package mutating func draft(
    of snapshot: MetricsSnapshot, at now: WallTime, since other: Baseline? = nil
  ) -> Draft {
    let since = other ?? baseline
    let report = Report(id: sequence.next(at: now), snapshot: snapshot, baseline: since, limits: limits)
    return Draft(report, of: snapshot, since: since)
  }

  /// Makes `snapshot` the baseline, unless there is one. The snapshot isn't reported.
  package mutating func begin(with snapshot: MetricsSnapshot) {
    if baseline == nil { baseline = Baseline(snapshot) }
  }

  /// Moves the baseline to `next`, the ``Draft/nextBaseline`` of an acknowledged report.
  package mutating func acknowledge(_ next: Baseline) {
    baseline = next
    isBaselineAcknowledged = true
  }

  /// Continues from the state that an earlier process saved: no id is used twice, and no traffic is missed.
  ///
  /// An acknowledged baseline of this process takes precedence over the saved one. A baseline that is only
  /// the first snapshot doesn't, because no report includes the traffic before it yet.
  ///
  /// Returns true if the saved baseline took precedence. Reports made before this call then lack some of the
  /// traffic since the saved baseline.
  package mutating func adopt(_ saved: Baseline?, lastReportID: UInt64) -> Bool {
    sequence = ReportSequence(last: max(sequence.last, lastReportID))
    guard let saved else { return false }
    guard let baseline, isBaselineAcknowledged else {
      self.baseline = baseline.map(saved.completed(by:)) ?? saved
      return true
    }
    self.baseline = baseline.completed(by: saved)
    return false
  }

  /// Continues with another collector and new limits.
  ///
  /// - Parameters:
  ///   - collector: takes the snapshots from now on.
  ///   - limits: the limits of reports from now on.
  ///   - keepsBaseline: false if the collector reads another network, whose counters are unrelated to the
  ///     baseline.
  package mutating func resume(
    with collector: consuming Collector, limits: ReportLimits, keepsBaseline: Bool
  ) {
    self.collector = collector
    self.limits = limits
    guard !keepsBaseline else { return }
    baseline = nil
    isBaselineAcknowledged = false
  }
}
