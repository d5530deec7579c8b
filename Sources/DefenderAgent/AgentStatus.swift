package import Platform

/// The agent's state in one line, which the service manager shows: `systemctl status` prints it.
///
/// It shows the connection, the last report, the next report, when the certificate expires, and the last error. Errors contain
/// no secrets, because the log shows them, too.
package final class AgentStatus {
  /// Longer errors are truncated; the log has them in full.
  private static let errorLimit = 300

  private let show: (String) -> Void
  /// Returns when the client certificate expires, such as `certificate expires in 12 days`; nil if there is none.
  var certificate: (() -> String?)?
  private var connection = "Not connected yet"
  private var lastReport: String?
  private var nextReport: String?
  private var lastCommand: String?
  private var lastError: String?
  /// The number of reports that wait in the agent's spool.
  var waiting = 0

  /// Creates a status that passes each new text to `show`.
  package init(_ show: @escaping (String) -> Void) {
    self.show = show
  }

  /// Records a report that the other side acknowledged. If it is spooled, it waits for a connection to AWS IoT.
  func published(_ id: UInt64, at now: WallTime, isSpooled: Bool) {
    lastReport = "last report \(id) at \(shown(now))\(isSpooled ? " (spooled)" : "")"
  }

  /// Records the response to a command, such as `accepted, report 1795676583`.
  func commanded(_ response: String, at now: WallTime) {
    lastCommand =
      "last command at \(shown(now)): \(ServerText().shown(response, limit: Self.errorLimit))"
  }

  /// Records an error. It stays until the next one, with its time.
  func failed(_ reason: String, at now: WallTime) {
    let text = ServerText().shown(withoutFinalPeriod(reason), limit: Self.errorLimit)
    lastError = "last error at \(shown(now)): \(text)"
  }

  /// Shows each connection of `publisher` that ends or opens between two reports.
  package func follow(_ publisher: MQTTPublisher, time: any TimeSource) {
    publisher.whenLost = { [weak self] in self?.lost($0, at: time.wallTime) }
    publisher.whenReconnected = { [weak self] in self?.reconnected() }
  }

  /// Shows that the connection ended between two reports.
  func lost(_ reason: String, at now: WallTime) {
    failed(reason, at: now)
    connection = "Not connected"
    showAll()
  }

  /// Shows that the connection was closed between two reports for a renewed certificate, and whether it is open again.
  func renewed(isConnected: Bool) {
    connection = isConnected ? "Connected" : "Not connected until the next report"
    showAll()
  }

  /// Shows that a connection is open again before the next report.
  func reconnected() {
    connection = "Connected"
    showAll()
  }

  /// Shows everything before the wait for a report that is due at `next`.
  ///
  /// `isReachable` says whether the last attempt to connect or to publish succeeded. `note` is about an open connection.
  func waits(until next: WallTime, isConnected: Bool, isReachable: Bool, note: String?) {
    connection =
      isConnected ? "Connected" : isReachable ? "Reachable, not connected between reports" : "Not connected"
    if isConnected, let note { connection += ", but \(note)" }
    nextReport = "next report at \(shown(next))"
    showAll()
  }

  /// Shows everything as it is now.
  func showAll() {
    let parts = [
      connection, lastReport ?? "no report yet", waiting > 0 ? "\(waiting) waiting in the spool" : nil,
      nextReport, lastCommand, certificate?(), lastError,
    ]
    show(parts.compactMap { $0 }.joined(separator: "; "))
  }

  private func shown(_ time: WallTime) -> String { CivilTime(time).extendedFormat }
}
