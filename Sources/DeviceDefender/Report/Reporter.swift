package import Platform

/// Makes an agent's reports: takes snapshots, numbers the reports, and keeps the baseline that their deltas count from.
///
/// Making a report doesn't move the baseline, because the report may get lost; ``acknowledge(_:)`` does. What is published, when,
/// and what counts as an acknowledgement is for the caller to decide. Reads no clock: instants are arguments.
package struct Reporter: ~Copyable {
  /// A report that was made, and the baseline to continue from if it is acknowledged.
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
  /// What the next report's deltas count from; nil before the first report.
  package private(set) var baseline: Baseline?
  /// Whether the baseline includes an acknowledged report of this process.
  private var isBaselineAcknowledged = false

  package init(collector: consuming Collector, limits: ReportLimits = ReportLimits()) {
    self.collector = collector
    self.limits = limits
  }

  /// The id of the last report, of this process or of an earlier one; 0 if there was none.
  package var lastReportID: UInt64 { sequence.last }

  /// Returns what the machine is doing now. Reading ends at `deadline`, and the snapshot lacks what wasn't read by then.
  package mutating func snapshot(until deadline: BootTime = .distantFuture) -> MetricsSnapshot {
    collector.snapshot(until: deadline)
  }

  /// Makes a report of `snapshot`, with the next id. The baseline stays.
  ///
  /// - Parameters:
  ///   - snapshot: what to report.
  ///   - now: the date; the id is its second, or one more than the last id.
  ///   - other: what the deltas count from instead of ``baseline``, for a series of reports that nobody acknowledges.
  /// - Returns: the report, and the baseline that includes it.
  package mutating func draft(
    of snapshot: MetricsSnapshot, at now: WallTime, since other: Baseline? = nil
  ) -> Draft {
    let since = other ?? baseline
    let report = Report(id: sequence.next(at: now), snapshot: snapshot, baseline: since, limits: limits)
    return Draft(report, of: snapshot, since: since)
  }

  /// Begins the deltas with `snapshot`, unless they have begun. The snapshot isn't reported.
  package mutating func begin(with snapshot: MetricsSnapshot) {
    if baseline == nil { baseline = Baseline(snapshot) }
  }

  /// Moves the baseline to `next`, the ``Draft/nextBaseline`` of a report that was acknowledged.
  package mutating func acknowledge(_ next: Baseline) {
    baseline = next
    isBaselineAcknowledged = true
  }

  /// Continues from what an earlier process saved: no id is used twice, and no traffic stays unreported.
  ///
  /// What this process acknowledged has precedence over the saved baseline. A baseline that is only its first snapshot hasn't:
  /// no report includes the traffic before that snapshot yet.
  ///
  /// Returns whether the saved baseline took precedence, so that reports made before don't include all traffic since it.
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

  /// Continues with another collector and other limits.
  ///
  /// - Parameters:
  ///   - collector: what takes the snapshots from now on.
  ///   - limits: how large the reports may get from now on.
  ///   - keepsBaseline: false if the collector reads another network, whose counters have nothing to do with the baseline.
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
