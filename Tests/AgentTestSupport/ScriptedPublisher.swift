package import DefenderAgent
import HTTPClient
package import Platform
package import TestSupport
package import WireFormats

/// A publisher that acknowledges or fails each publish as the test sets it.
package final class ScriptedPublisher: Publisher, ReportConfirmer, CommandReceiver {
  package let time: ManualTime
  /// Whether each publish in turn is acknowledged. All publishes after the last element are acknowledged.
  package var acknowledgements: [Bool] = []
  /// Device Defender's answer to each report in turn; empty if nobody answers. If it is `spooled`, so is the report.
  package var confirmations: [ReportConfirmation] = []
  /// The late answers to unanswered reports, in turn, when the next report is due; nil for a report still unanswered.
  package var lateConfirmations: [ReportConfirmation?] = []
  package var provesDelivery = true
  /// Why a publish fails.
  package var refusal = PublishError.Cause.exchange(.connectionLost("made up"))
  package var timeTaken = Duration.milliseconds(100)
  /// Called during each publish.
  package var whilePublishing: () -> Void = {}
  /// Why connecting ahead of the first report fails; nil if it succeeds.
  package var refusalToOpen: PublishError.Cause?
  package var commandTopics: CommandTopics?
  /// The commands that arrive, with their times, the earliest first.
  package var commands: [(at: BootTime, payload: [UInt8])] = []
  /// Called by ``takeCommands()``.
  package var whileTakingCommands: () -> Void = {}
  /// Called with the payload of each response.
  package var whenResponding: ([UInt8]) throws(PublishError) -> Void = { _ in }
  package private(set) var openings: [BootTime] = []
  package private(set) var payloads: [JSONValue] = []
  package private(set) var topics: [String] = []
  package private(set) var deadlines: [BootTime] = []
  package private(set) var announced: [UInt64] = []
  package private(set) var confirmationDeadlines: [BootTime] = []

  package init(time: ManualTime) {
    self.time = time
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    payloads.append((try? JSONValue(parsing: payload)) ?? .null)
    topics.append(topic.name)
    deadlines.append(deadline)
    time.advance(by: timeTaken)
    whilePublishing()
    let isAcknowledged = acknowledgements.isEmpty || acknowledgements.removeFirst()
    guard isAcknowledged else {
      throw PublishError(refusal, topic: topic, endpoint: "http://localhost", attempts: 1)
    }
    return PublishReceipt(status: 200, attempts: 1, isSpooled: confirmations.first == .spooled)
  }

  package func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    openings.append(time.bootTime)
    guard let refusalToOpen else { return OpenedConnection(endpoint: "http://localhost") }
    throw PublishError(refusalToOpen, topic: topic, endpoint: "http://localhost", attempts: 1)
  }

  package func takeCommands() -> [[UInt8]] {
    whileTakingCommands()
    let arrived = commands.prefix { $0.at <= time.bootTime }
    commands.removeFirst(arrived.count)
    return arrived.map(\.payload)
  }

  package func respond(_ payload: [UInt8], until deadline: BootTime) throws(PublishError) {
    try whenResponding(payload)
  }

  package func announce(reportID: UInt64) { announced.append(reportID) }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    confirmationDeadlines.append(deadline)
    return confirmations.isEmpty ? nil : confirmations.removeFirst()
  }

  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    lateConfirmations.isEmpty ? nil : lateConfirmations.removeFirst()
  }
}

extension ScriptedPublisher {
  /// The delta of the received bytes in each report; nil for a report without a delta.
  package var bytesIn: [Int?] { payloads.map { $0["metrics"]?["network_stats"]?["bytes_in"]?.integer() } }

  /// The id of each report.
  package var reportIDs: [Int] { payloads.compactMap { $0["header"]?["report_id"]?.integer() } }
}
