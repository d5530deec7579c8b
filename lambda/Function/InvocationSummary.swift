package import LambdaRuntime
import WireFormats

/// What became of one invocation; its JSON is the answer of `function_handler`.
package struct InvocationSummary: Equatable, Sendable {
  package enum End: String, Sendable {
    /// As many as were asked for.
    case reports
    /// The time until the deadline would not carry another one.
    case deadline
    /// The process was asked to stop.
    case signal
  }

  /// What Device Defender said about the reports.
  package struct Confirmations: Equatable, Sendable {
    package var accepted: UInt64 = 0
    package var rejected: UInt64 = 0
    package var unanswered: UInt64 = 0

    package init() {}
  }

  package var published: UInt64 = 0
  package var confirmations = Confirmations()
  package var failed: UInt64 = 0
  package var lastReportID: UInt64?
  package var topic: String
  package var transport: String
  package var ended = End.reports
  /// Why the last report that failed did.
  package var lastError: String?
  /// The last report of a dry run as JSON: the report itself, or the Base64 of CBOR in quotes.
  package var dryRunReport: String?

  package init(topic: String, transport: String) {
    self.topic = topic
    self.transport = transport
  }

  package var response: Response {
    var document = JSONWriter()
    document.beginMap(count: 0)
    document.member("published", published)
    document.member("failed", failed)
    // Only where somebody could have said something.
    if confirmations != Confirmations() {
      document.member("accepted", confirmations.accepted)
      document.member("rejected", confirmations.rejected)
      document.member("unanswered", confirmations.unanswered)
    }
    document.key("last_report_id")
    if let lastReportID { document.integer(lastReportID) } else { document.null() }
    document.member("topic", topic)
    document.member("transport", transport)
    document.member("ended", ended.rawValue)
    if let lastError { document.member("last_error", lastError) }
    if let dryRunReport {
      document.key("report")
      document.literal(dryRunReport)
    }
    document.endMap()
    return Response(json: document.bytes)
  }
}
