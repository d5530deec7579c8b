import AWSClient
import DefenderAgent
import Testing

private let name = "$aws/things/pump-7/defender/metrics/json"

private enum Step: Sendable {
  case begin(UInt64)
  case send
  /// A violation event follows the report.
  case sendEvent
  /// An answer with this id, or without an id if it is nil.
  case accepted(UInt64?)
  case rejected(UInt64?)
  case retained(UInt64?)
  /// An answer on this topic, which isn't the report's.
  case foreign(String)
  case garbage
}

private func accepted(_ id: UInt64?) -> [UInt8] {
  Array("{\"thingName\":\"pump-7\",\(id.map { "\"reportId\":\($0)," } ?? "")\"status\":\"ACCEPTED\"}".utf8)
}

private func rejected(_ id: UInt64?) -> [UInt8] {
  let details = #""statusDetails":{"ErrorCode":"Throttled","ErrorMessage":"slow down"}"#
  return Array("{\(id.map { "\"reportId\":\($0)," } ?? "")\(details)}".utf8)
}

/// The rows of the table in docs/agent.md, "Which answer counts".
@Suite struct `An answer from Device Defender` {
  private static let rejection = ReportConfirmation.rejected(code: "Throttled", message: "slow down")

  private func play(_ steps: [Step]) throws -> (verdicts: [ReportAnswers.Verdict], answers: ReportAnswers) {
    let topic = try Topic(validating: name)
    var answers = ReportAnswers()
    var verdicts: [ReportAnswers.Verdict] = []
    for step in steps {
      switch step {
      case .begin(let id): answers.begin(reportID: id)
      case .send: answers.noteSending(to: topic)
      case .sendEvent: answers.noteSending(to: try Topic(validating: "defender/pump-7/violations"))
      case .accepted(let id): verdicts.append(answers.take(on: "\(name)/accepted", payload: accepted(id)))
      case .rejected(let id): verdicts.append(answers.take(on: "\(name)/rejected", payload: rejected(id)))
      case .retained(let id):
        verdicts.append(answers.take(on: "\(name)/rejected", payload: rejected(id), isRetained: true))
      case .foreign(let other): verdicts.append(answers.take(on: other, payload: accepted(2)))
      case .garbage: verdicts.append(answers.take(on: "\(name)/accepted", payload: [0xFF, 0x00]))
      }
    }
    return (verdicts, answers)
  }

  @Test(
    arguments: [
      // In time:
      ([.begin(2), .send, .accepted(2)], .counts, .accepted),
      ([.begin(2), .send, .rejected(2)], .counts, rejection),
      ([.begin(2), .send, .accepted(nil)], .counts, .accepted),
      ([.begin(2), .send, .rejected(nil)], .counts, rejection),
      // Between the attempts of one report; it answers the first copy:
      ([.begin(2), .send, .send, .rejected(nil)], .counts, rejection),
      // After an event that followed the report:
      ([.begin(2), .send, .sendEvent, .accepted(2)], .counts, .accepted),
      // Early, before the report was sent:
      ([.begin(2), .accepted(nil)], .cameBeforeReport, nil),
      ([.begin(2), .rejected(nil), .send], .cameBeforeReport, nil),
      ([.begin(2), .accepted(2)], .cameBeforeReport, nil),
      ([.accepted(2)], .cameBeforeReport, nil),
      // Late, an answer to the previous report:
      ([.begin(1), .send, .begin(2), .rejected(1), .send], .cameBeforeReport, nil),
      ([.begin(1), .send, .begin(2), .send, .rejected(1)], .isAboutAnotherReport(1), nil),
      ([.begin(1), .send, .accepted(1), .begin(2), .send, .accepted(1)], .isAboutAnotherReport(1), nil),
      ([.begin(1), .send, .begin(2), .rejected(nil), .send], .cameBeforeReport, nil),
      // For a report that this agent never sent, such as one of another agent for the same thing:
      ([.begin(2), .send, .accepted(7)], .isAboutAnotherReport(7), nil),
      // Twice:
      ([.begin(2), .send, .accepted(2), .accepted(2)], .repeated, .accepted),
      ([.begin(2), .send, .rejected(2), .rejected(2)], .repeated, rejection),
      ([.begin(2), .send, .accepted(2), .rejected(2)], .repeated, .accepted),
      ([.begin(2), .send, .accepted(2), .rejected(nil)], .repeated, .accepted),
      ([.begin(2), .send, .rejected(2), .accepted(2)], .replacesRejection, .accepted),
      // Retained:
      ([.begin(2), .send, .retained(2)], .isRetained, nil),
      ([.begin(2), .send, .retained(nil)], .isRetained, nil),
      ([.retained(nil)], .isRetained, nil),
      // For another thing or format:
      (
        [.begin(2), .send, .foreign("$aws/things/pump-8/defender/metrics/json/accepted")], .isOfAnotherTopic,
        nil
      ),
      (
        [.begin(2), .send, .foreign("$aws/things/pump-7/defender/metrics/cbor/accepted")], .isOfAnotherTopic,
        nil
      ),
      ([.begin(2), .send, .foreign(name)], .isOfAnotherTopic, nil),
      ([.begin(2), .send, .foreign("\(name)/accepted/more")], .isOfAnotherTopic, nil),
      // Not an answer:
      ([.begin(2), .send, .garbage], .isUnreadable, nil),
    ] as [([Step], ReportAnswers.Verdict, ReportConfirmation?)])
  fileprivate func `counts for its own report only`(
    steps: [Step], verdict: ReportAnswers.Verdict, confirmation: ReportConfirmation?
  ) throws {
    let (verdicts, answers) = try play(steps)
    #expect(verdicts.last == verdict)
    #expect(answers.confirmation(of: 2) == confirmation)
    #expect(answers.confirmation(of: 3) == nil)
  }

  @Test(arguments: [(2, true), (nil, false)] as [(UInt64?, Bool)])
  func `replaces an acknowledgement only if it names the report`(id: UInt64?, isNamed: Bool) throws {
    #expect(try play([.begin(2), .send, .rejected(id)]).answers.isNamed == isNamed)
  }
}
