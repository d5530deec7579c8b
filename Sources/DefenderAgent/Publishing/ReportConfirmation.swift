package import Platform
import WireFormats

/// What Device Defender made of a report.
package enum ReportConfirmation: Equatable, Sendable {
  case accepted
  /// `code` and `message` are AWS's, such as `InvalidPayload` and `Malformed metrics report`.
  case rejected(code: String, message: String)
  /// Nothing was heard in time.
  case unanswered
  /// The process was asked to stop before anything was heard.
  case stopped
  /// Answers can't be received at present; `reason` may end with advice, in sentences of its own.
  case unavailable(reason: String)

  /// Whether Device Defender didn't take the report, so that nothing in it counts as told.
  package var isRejection: Bool {
    guard case .rejected = self else { return false }
    return true
  }

  /// Whether the account's quota was used up, or the device's own.
  ///
  /// AWS documents no list of Device Defender's codes; its services call this `Throttled` or `ThrottlingException`.
  package var isThrottling: Bool {
    guard case .rejected(let code, _) = self else { return false }
    return code.lowercased().includes("throttl")
  }
}

/// A transport that hears what Device Defender makes of reports.
package protocol ReportConfirmer: AnyObject {
  /// Says which report the next publish carries.
  func announce(reportID: UInt64)

  /// What Device Defender said about the report called `reportID`, which was just published; waits for it until
  /// `deadline`. Nil where nobody says anything about what goes to that topic.
  func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation?

  /// What Device Defender has answered meanwhile about the report called `reportID`, which was unanswered; nil if
  /// nothing has arrived. Doesn't wait.
  func lateConfirmation(of reportID: UInt64) -> ReportConfirmation?

  /// Whether a publish that succeeded proves that AWS IoT has the report.
  var provesDelivery: Bool { get }
}

extension ReportConfirmer {
  package func announce(reportID: UInt64) {}
  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? { nil }
  package var provesDelivery: Bool { true }
}

/// An answer of Device Defender, as it comes on `<topic>/accepted` or `<topic>/rejected`.
///
/// The shape is AWS's ("Sending metrics from devices", Device Defender developer guide), read leniently: the id is
/// `reportId` in answers that people have seen, a member named by the id itself in the guide's example, and absent from
/// its example of a rejection.
package struct ReportAnswer: Equatable, Sendable {
  /// Nil where the answer doesn't say which report it is about.
  package let reportID: UInt64?
  package let confirmation: ReportConfirmation

  /// Reads the answer `payload` that came on `topic`; nil where the topic isn't one for answers, or an acceptance
  /// can't be read, which proves nothing.
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
          ServerText().shown(details?["ErrorMessage"]?.string ?? "the rejection says no more")))
  }

  /// The answer comes in the format of the report.
  private static func document(_ payload: [UInt8]) -> JSONValue? {
    (try? JSONValue(parsing: payload)) ?? (try? JSONValue(parsingCBOR: payload))
  }
}
