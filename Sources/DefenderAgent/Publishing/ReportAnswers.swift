import Platform

/// Decides which of Device Defender's answers counts for the current report, for every transport.
///
/// Answers arrive late, early, twice, for other reports, and without an id. The table in docs/agent.md ("Which answer
/// counts") has all cases.
package struct ReportAnswers {
  /// The decision about an answer.
  package enum Verdict: Equatable, Sendable {
    /// The answer is about the current report.
    case counts
    /// The answer is an acceptance, after a rejection of another copy of the same report: Device Defender has the report.
    case replacesRejection
    /// The report already has an answer: the broker or this publisher delivered a message twice.
    case repeated
    /// The answer names another report, such as one for which the wait had already ended.
    case isAboutAnotherReport(UInt64)
    /// The answer arrived before the current report was sent, so it can't be about that report.
    case cameBeforeReport
    /// The broker retained the message from an earlier time.
    case isRetained
    /// The message arrived on a topic that isn't an answer topic of the report.
    case isOfAnotherTopic
    /// The answer is a malformed acceptance, which proves nothing.
    case isUnreadable

    /// Whether the answer changes the confirmation of the current report.
    package var isUsed: Bool { self == .counts || self == .replacesRejection }
  }

  private var reportID: UInt64?
  /// The topic to which the current report was sent; nil until then.
  private var topic: Topic?
  private var current: ReportConfirmation?
  /// Whether an answer that counted named the report, which proves that it is about this report.
  package private(set) var isNamed = false

  package init() {}

  /// Makes `reportID` the current report and forgets the answers to earlier ones.
  package mutating func begin(reportID: UInt64) {
    self = ReportAnswers()
    self.reportID = reportID
  }

  /// Records that the current report is being sent to `topic`. Call this just before each attempt.
  ///
  /// Only the first topic after ``begin(reportID:)`` counts: what follows the report, such as a violation event, has no answers.
  package mutating func noteSending(to topic: Topic) { self.topic = self.topic ?? topic }

  /// Returns whether an answer proves that the current report arrived, and `topic` is that report's topic. The answer proves nothing
  /// about later messages to other topics.
  package func proveArrival(on topic: Topic) -> Bool { isNamed && self.topic == topic }

  /// Processes an answer that arrived on `topicName`, and returns the decision about it.
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

  /// Returns Device Defender's answer to the report `reportID`; nil if there is none yet, or if another report is current.
  package func confirmation(of reportID: UInt64) -> ReportConfirmation? {
    self.reportID == reportID ? current : nil
  }
}

extension ReportAnswers.Verdict: CustomStringConvertible {
  /// The reason for the decision, for the log.
  package var description: String {
    switch self {
    case .counts: "it is about the report"
    case .replacesRejection: "another copy of the report was accepted"
    case .repeated: "the report already has an answer"
    case .isAboutAnotherReport(let id): "it is about report \(id)"
    case .cameBeforeReport: "it arrived before the report was sent"
    case .isRetained: "it is a retained message"
    case .isOfAnotherTopic: "it isn't on an answer topic of the report"
    case .isUnreadable: "it is malformed"
    }
  }
}
