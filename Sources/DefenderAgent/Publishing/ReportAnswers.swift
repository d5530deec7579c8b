import Platform

/// Decides which of Device Defender's answers counts for the report that is under way, for every transport.
///
/// Answers come late, early, twice, for other reports, and without an id. The table is in docs/agent.md ("Which answer
/// counts"); each ``Verdict`` is a row of it.
package struct ReportAnswers {
  /// What became of an answer.
  package enum Verdict: Equatable, Sendable {
    /// It is about the report that is under way.
    case counts
    /// A rejection came before, of another copy of the same report: Device Defender has the report all the same.
    case replacesRejection
    /// The report was answered already: the broker, or this publisher, delivered something twice.
    case repeated
    /// It names another report, such as one whose answer was no longer waited for.
    case isAboutAnotherReport(UInt64)
    /// No report was sent yet that it could be about: without an id it is about an earlier one.
    case cameBeforeReport
    /// The broker kept it from an earlier time.
    case isRetained
    /// It came on a topic that isn't an answer topic of the report's.
    case isOfAnotherTopic
    /// An acceptance that isn't a document proves nothing.
    case isUnreadable

    /// Whether it says anything about the report that is under way.
    package var isUsed: Bool { self == .counts || self == .replacesRejection }
  }

  private var reportID: UInt64?
  /// The topic that the report went to; nil until it was sent.
  private var topic: Topic?
  private var current: ReportConfirmation?
  /// Whether an answer named the report, so that it was about this report for certain.
  package private(set) var isNamed = false

  package init() {}

  /// Begins with another report: what was said before is about earlier ones.
  package mutating func begin(reportID: UInt64) {
    self = ReportAnswers()
    self.reportID = reportID
  }

  /// Notes that the report goes out now, to `topic`; call it just before each attempt to send it.
  package mutating func noteSending(to topic: Topic) { self.topic = topic }

  /// Takes an answer that came on `topicName`, and says what became of it.
  package mutating func take(
    on topicName: String, payload: [UInt8], isRetained: Bool = false
  ) -> Verdict {
    // A retained answer may be about any earlier report.
    guard !isRetained else { return .isRetained }
    guard let topic, let reportID else { return .cameBeforeReport }
    guard topicName == "\(topic)/accepted" || topicName == "\(topic)/rejected" else {
      return .isOfAnotherTopic
    }
    guard let answer = ReportAnswer(on: topicName, payload: payload) else { return .isUnreadable }
    if let id = answer.reportID, id != reportID { return .isAboutAnotherReport(id) }
    let isReplacing = current?.isRejection == true && answer.confirmation == .accepted
    guard current == nil || isReplacing else { return .repeated }
    current = answer.confirmation
    isNamed = isNamed || answer.reportID != nil
    return isReplacing ? .replacesRejection : .counts
  }

  /// What Device Defender said about the report called `reportID`; nil if nothing yet, or if another report is under way.
  package func confirmation(of reportID: UInt64) -> ReportConfirmation? {
    self.reportID == reportID ? current : nil
  }
}

extension ReportAnswers.Verdict: CustomStringConvertible {
  /// Why an answer was ignored, for a log.
  package var description: String {
    switch self {
    case .counts: "it is about the report"
    case .replacesRejection: "another copy of the report was accepted"
    case .repeated: "the report was answered already"
    case .isAboutAnotherReport(let id): "it is about report \(id)"
    case .cameBeforeReport: "no report was sent yet that it could be about"
    case .isRetained: "the broker retained it from an earlier time"
    case .isOfAnotherTopic: "it isn't on an answer topic of the report"
    case .isUnreadable: "it can't be read"
    }
  }
}
