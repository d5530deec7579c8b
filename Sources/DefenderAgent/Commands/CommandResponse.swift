import Platform
import WireFormats

/// The response to a command, which is published to the command topic followed by `/response`.
///
/// docs/agent.md ("The response") describes its members.
package struct CommandResponse: Equatable, Sendable {
  package enum Result: Equatable, Sendable {
    /// The report with this id was published, or handed to the nucleus. If it waits in the spool, `note` says so.
    case report(UInt64, note: String? = nil)
    /// The interval in use from now on. `note` says why it isn't the requested one; nil if it is.
    case interval(Duration, note: String?)
    /// The command wasn't carried out. `reportID` is the id of the report that was published and that Device Defender rejected.
    case rejected(String, reportID: UInt64? = nil)
  }

  /// The name of the command; nil if the message was malformed.
  package var command: String?
  package var id: String?
  package var thing: String?
  package var result: Result

  package init(_ result: Result, to command: String? = nil, id: String? = nil, thing: String? = nil) {
    self.command = command
    self.id = id
    self.thing = thing
    self.result = result
  }

  package var isRejection: Bool {
    guard case .rejected = result else { return false }
    return true
  }

  /// The response as JSON.
  package var encoded: [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 6)
    if let command { document.member("command", command) }
    if let id { document.member("id", id) }
    if let thing { document.member("thing", thing) }
    document.member("status", isRejection ? "rejected" : "accepted")
    switch result {
    case .report(let id, let note):
      document.member("reportId", id)
      if let note { document.member("note", note) }
    case .interval(let interval, let note):
      document.key("intervalSeconds")
      document.literal(decimal(interval))
      if let note { document.member("note", note) }
    case .rejected(let reason, let reportID):
      if let reportID { document.member("reportId", reportID) }
      document.member("error", reason)
    }
    document.endMap()
    return document.bytes
  }

  /// Returns the seconds without a fraction if there is none.
  private func decimal(_ interval: Duration) -> String {
    let seconds = interval.inSeconds
    return Int64(exactly: seconds).map { "\($0)" } ?? "\(seconds)"
  }
}

extension CommandResponse: CustomStringConvertible {
  /// The result for a log line: `accepted, report 1795676583`.
  package var description: String {
    switch result {
    case .report(let id, let note): "accepted, report \(id)\(remark(note))"
    case .interval(let interval, let note): "accepted, one report every \(interval.inWords)\(remark(note))"
    case .rejected(let reason, _): "rejected: \(withoutFinalPeriod(reason))"
    }
  }

  private func remark(_ note: String?) -> String { note.map { " (\(withoutFinalPeriod($0)))" } ?? "" }
}
