import DefenderAgent
import DeviceDefender
import LambdaRuntime
import WireFormats

/// The response of `function_handler`: the outcome of the invocation as JSON.
extension Response {
  /// A dry run's `report` is the JSON report itself, or a string with the Base64 of the CBOR report.
  init(summaryOf outcome: ReportOutcome) {
    var document = JSONWriter()
    document.beginMap(count: 0)
    document.member("published", outcome.published)
    if outcome.spooled > 0 { document.member("spooled", outcome.spooled) }
    document.member("failed", outcome.failed)
    if outcome.waiting > 0 { document.member("waiting", UInt64(outcome.waiting)) }
    if outcome.dropped > 0 { document.member("dropped", outcome.dropped) }
    let confirmations = outcome.confirmations
    // Only if Device Defender answers on this topic.
    if confirmations != ReportOutcome.Confirmations() {
      document.member("accepted", confirmations.accepted)
      document.member("rejected", confirmations.rejected)
      document.member("unanswered", confirmations.unanswered)
    }
    if outcome.violations > 0 { document.member("violations", outcome.violations) }
    document.key("last_report_id")
    if let lastReportID = outcome.lastReportID { document.integer(lastReportID) } else { document.null() }
    document.member("topic", outcome.topic)
    document.member("transport", outcome.transport)
    document.member("ended", outcome.ended.rawValue)
    if let lastError = outcome.lastError { document.member("last_error", lastError) }
    if let report = outcome.dryRunReport {
      document.key("report")
      switch report.format {
      case .json: document.literal(String(decoding: report.bytes, as: UTF8.self))
      case .cbor: document.string(base64(report.bytes))
      }
    }
    document.endMap()
    self.init(json: document.bytes)
  }
}
