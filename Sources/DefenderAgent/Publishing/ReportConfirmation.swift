package import Platform
import WireFormats

/// Device Defender's answer to a report, or why there is none.
package enum ReportConfirmation: Equatable, Sendable {
  case accepted
  /// `code` and `message` are AWS's, such as `InvalidPayload` and `Malformed metrics report`.
  case rejected(code: String, message: String)
  /// No answer arrived in time.
  case unanswered
  /// The report waits on this machine until there is a connection to AWS IoT. An answer may arrive later.
  case spooled
  /// The process was asked to stop before an answer arrived.
  case stopped
  /// Answers can't be received at present. `reason` may end with advice in separate sentences.
  case unavailable(reason: String)

  /// Whether Device Defender rejected the report, so that the next report has to include its traffic.
  package var isRejection: Bool {
    guard case .rejected = self else { return false }
    return true
  }

  /// Whether the report was rejected because the account's or the device's quota was used up.
  ///
  /// AWS documents no list of Device Defender's codes; its services call this `Throttled` or `ThrottlingException`.
  package var isThrottling: Bool {
    guard case .rejected(let code, _) = self else { return false }
    return code.lowercased().includes("throttl")
  }
}

/// A transport that receives Device Defender's answers to reports.
package protocol ReportConfirmer: AnyObject {
  /// Sets the id of the report that the next publish carries.
  func announce(reportID: UInt64)

  /// Waits until `deadline` for Device Defender's answer to the report `reportID`, which was just published.
  ///
  /// Returns nil if nobody answers messages on the report's topic.
  func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation?

  /// Returns the answer to the unanswered report `reportID` that has arrived since; nil if none has. Must not wait.
  func lateConfirmation(of reportID: UInt64) -> ReportConfirmation?

  /// Whether a successful publish proves that AWS IoT has the report.
  var provesDelivery: Bool { get }
}

extension ReportConfirmer {
  package func announce(reportID: UInt64) {}
  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? { nil }
  package var provesDelivery: Bool { true }
}

/// An answer of Device Defender on `<topic>/accepted` or `<topic>/rejected`.
///
/// AWS documents the format ("Sending metrics from devices", Device Defender developer guide). It is parsed leniently:
/// observed answers have the id in `reportId`, the guide's example of an acceptance has the id itself as the name of a
/// member, and its example of a rejection has no id.
package struct ReportAnswer: Equatable, Sendable {
  /// The id of the report that the answer is about; nil if the answer has none.
  package let reportID: UInt64?
  package let confirmation: ReportConfirmation

  /// Parses the answer `payload` that arrived on `topic`.
  ///
  /// Nil if the topic isn't an answer topic, or if an acceptance is malformed: an unreadable message confirms nothing.
  package init?(on topic: String, payload: [UInt8]) {
    let isAcceptance = topic.hasSuffix("/accepted")
    guard isAcceptance || topic.hasSuffix("/rejected") else { return nil }
    let document = Self.document(payload)
    guard !isAcceptance || document?.members != nil else { return nil }
    reportID =
      document?["reportId"]?.integer()
      ?? document?.members?.lazy.compactMap { UInt64($0.name) }.first
    let details = document?["statusDetails"]
    confirmation =
      isAcceptance
      ? .accepted
      : .rejected(
        code: ServerText().shown(details?["ErrorCode"]?.string ?? "unknown", limit: 100),
        message: withoutFinalPeriod(
          ServerText().shown(details?["ErrorMessage"]?.string ?? "no message was given")))
  }

  /// Parses `payload` as JSON or CBOR, because an answer has the format of the report; nil if it is neither.
  private static func document(_ payload: [UInt8]) -> JSONValue? {
    (try? JSONValue(parsing: payload)) ?? (try? JSONValue(parsingCBOR: payload))
  }
}
