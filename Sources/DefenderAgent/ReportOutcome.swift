package import DeviceDefender

/// The result of one run of a ``ReportLoop``.
package struct ReportOutcome: Equatable, Sendable, CustomStringConvertible {
  /// Why the run ended.
  package enum End: String, Sendable {
    /// The loop made the number of reports in the plan.
    case reports
    /// The time until the deadline doesn't allow another report.
    case deadline
    /// The process received a signal to stop.
    case signal
    /// The configuration has changed since the run started.
    case configurationChanged = "configuration"
  }

  /// The number of reports for each answer of Device Defender.
  package struct Confirmations: Equatable, Sendable {
    package var accepted: UInt64 = 0
    package var rejected: UInt64 = 0
    package var unanswered: UInt64 = 0

    package init() {}
  }

  /// The number of commands for each kind of response. Dropped commands have none and aren't counted.
  package struct Commands: Equatable, Sendable {
    package var accepted: UInt64 = 0
    package var rejected: UInt64 = 0

    package init() {}
  }

  /// An encoded report.
  package struct Document: Equatable, Sendable {
    package let bytes: [UInt8]
    package let format: ReportFormat
  }

  package var published: UInt64 = 0
  /// The number of reports that the nucleus accepted while the core had no connection to AWS IoT. It sends them later.
  package var spooled: UInt64 = 0
  /// The number of reports that wait in the agent's spool.
  package var waiting = 0
  /// The number of reports that the agent's spool lost: those that it dropped, and damaged files.
  package var dropped: UInt64 = 0
  package var confirmations = Confirmations()
  package var failed: UInt64 = 0
  package var commands = Commands()
  /// The number of violation events of the evaluated security profiles.
  package var violations: UInt64 = 0
  package var lastReportID: UInt64?
  package let topic: String
  package let transport: String
  package var ended = End.reports
  /// The last error: why a report wasn't made, published or accepted.
  package var lastError: String?
  /// The last report of a dry run.
  package var dryRunReport: Document?

  package init(topic: String, transport: String) {
    self.topic = topic
    self.transport = transport
  }

  /// Why the run counts as failed: no report was published or spooled, and there was an error. Nil if it succeeded.
  package var failure: String? {
    guard published == 0, spooled == 0, let lastError else { return nil }
    return "no report was published (\(failed) failed): \(lastError)"
  }

  /// The counts for a log, such as `3 reports published, 1 failed; 2 accepted, 0 rejected, 1 unanswered`.
  package var description: String {
    var text = "\(published) reports published, \(spooled > 0 ? "\(spooled) spooled, " : "")\(failed) failed"
    if confirmations != Confirmations() {
      text +=
        "; \(confirmations.accepted) accepted, \(confirmations.rejected) rejected, "
        + "\(confirmations.unanswered) unanswered"
    }
    if waiting > 0 { text += "; \(waiting) waiting in the spool" }
    if dropped > 0 { text += "; \(dropped) dropped from the spool" }
    if commands != Commands() {
      text += "; \(commands.accepted) commands accepted, \(commands.rejected) rejected"
    }
    return lastError.map { "\(text); last error: \($0)" } ?? text
  }
}
