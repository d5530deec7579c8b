package import GreengrassIPC
package import Platform
package import WireFormats

/// Publishes through the Greengrass nucleus, and hears what Device Defender makes of the reports.
///
/// A publish that succeeded proves little. The classic nucleus keeps a message while its MQTT connection is down; lite has
/// written it to a socket, and loses it if that connection turns out to be dead. Neither reports what AWS IoT
/// acknowledged. No AWS credentials are needed: the certificate of the core has to allow the topic.
package final class GreengrassPublisher: Publisher, ReportConfirmer {
  /// How often, and after how long, a message is sent again.
  package struct RetryPolicy: Sendable {
    /// AWS's own component calls it `PublishRetryCount`.
    package var count = 5
    /// Doubled from time to time, up to the longest; the second half of it by chance.
    package var firstDelay = Duration.seconds(5)

    package static let countRange = 0...72
    static let longestDelay = Duration.seconds(600)

    package init() {}

    package func delay(
      afterAttempt attempt: Int, using generator: inout some RandomNumberGenerator
    ) -> Duration {
      Backoff(first: firstDelay, cap: Self.longestDelay, jitter: 0.5)
        .delay(afterFailures: attempt, using: &generator)
    }
  }

  private static let attemptTimeout = Duration.seconds(10)
  private static let endpoint = "the Greengrass nucleus"

  package var retries = RetryPolicy()
  private let client: IPCClient
  private let time: any TimeSource
  private let log: Log
  private var random: any RandomNumberGenerator
  /// The topic of the last report that the nucleus accepted: the component's `accessControl` allowed it.
  private var allowedTopic: Topic?
  /// The topic whose answers are heard, and where they come.
  private var answers: (topic: Topic, streams: [IPCSubscription])?
  private var verdicts = ReportAnswers()

  package init(
    _ client: IPCClient, time: any TimeSource, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.client = client
    self.time = time
    self.log = log
    self.random = random
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    guard payload.count <= AWSIoTQuotas.publishPayloadBytes else {
      let cause = PublishError.Cause.payloadTooLarge(
        bytes: payload.count, limit: AWSIoTQuotas.publishPayloadBytes)
      throw PublishError(cause, topic: topic, endpoint: Self.endpoint, attempts: 0)
    }
    try checkSize(payload, for: topic)
    subscribe(to: topic)
    renewSubscriptions(where: \.mayBeGranted)
    let request = IPCRequest.publishToIoTCore(
      topic: topic.name, qualityOfService: qos, payload: payload)
    // What is here by now is no answer to a report that goes out only now.
    takeAnswers()
    verdicts.noteSending(to: topic)
    var attempts = 0
    while true {
      attempts += 1
      do throws(IPCError) {
        let limit = min(deadline, time.bootTime.advanced(by: Self.attemptTimeout))
        _ = try client.call(request, until: limit)
        allowedTopic = topic
        // What was refused while the core was offline is granted now.
        renewSubscriptions { $0.isRefused }
        return PublishReceipt(attempts: attempts, answer: "handed to the nucleus")
      } catch {
        let failure = failure(error, payload: payload, topic: topic)
        guard failure.isTransient, waitsForRetry(after: error, attempts: attempts, until: deadline) else {
          throw PublishError(
            .transport(failure), topic: topic, endpoint: Self.endpoint, attempts: attempts)
        }
      }
    }
  }

  /// Rejects a report that nucleus lite would answer by closing the connection, which costs the subscriptions too.
  private func checkSize(_ payload: [UInt8], for topic: Topic) throws(PublishError) {
    guard client.leavesStreamsOpen == true, let advice = adviceOnSize(payload, topic) else { return }
    let failure = TransportFailure(
      reason: "the report has \(payload.count) bytes", advice: advice, isTransient: false)
    throw PublishError(.transport(failure), topic: topic, endpoint: Self.endpoint, attempts: 0)
  }

  /// Whether another attempt should be made; waits until it is due.
  private func waitsForRetry(after error: IPCError, attempts: Int, until deadline: BootTime) -> Bool {
    guard attempts <= retries.count else { return false }
    // A nucleus that was started again since the last report shows only now; the client itself waits long enough.
    if case .disconnected = error, attempts == 1 { return true }
    let next = time.bootTime.advanced(by: retries.delay(afterAttempt: attempts, using: &random))
    guard next < deadline else { return false }
    log.info("Trying again in \(Int(time.bootTime.duration(to: next).inSeconds)) s: \(sentence("\(error)"))")
    return client.serve(until: next) == .onTime
  }

  private func failure(_ error: IPCError, payload: [UInt8], topic: Topic) -> TransportFailure {
    if error == .shutdown { return .stopped(before: "the nucleus answered", isUnderWay: true) }
    // Lite hangs up on what is too long for it, and would do so again.
    if case .disconnected = error, client.leavesStreamsOpen != false,
      let advice = adviceOnSize(payload, topic)
    {
      return TransportFailure(reason: error.description, advice: advice, isTransient: false)
    }
    if error.isUnauthorized, allowedTopic == topic {
      return TransportFailure(
        reason: error.description, advice: error.adviceOnWithdrawal, isTransient: true)
    }
    return TransportFailure(
      reason: error.description, advice: error.advice, isTransient: error.isTransient)
  }

  /// What to do about a payload that is too long for nucleus lite; nil if it isn't.
  private func adviceOnSize(_ payload: [UInt8], _ topic: Topic) -> String? {
    let limit = IPCRequest.maximumPublishPayload(
      topic: topic.name, messageLimit: IPCRequest.messageLimitOfLite)
    guard payload.count > limit else { return nil }
    return
      "Greengrass nucleus lite takes at most \(limit) bytes on this topic and hangs up on more, and the report has "
      + "\(payload.count): leave MaximumReportBytes to its default there."
  }

  // MARK: What Device Defender answers

  /// Asks for the answers to reports on `topic`, where there will be any.
  private func subscribe(to topic: Topic) {
    guard answers?.topic != topic else { return }
    for stream in answers?.streams ?? [] { client.unsubscribe(stream) }
    answers = nil
    guard topic.isDeviceDefenders else { return }
    let streams = ["accepted", "rejected"].map { verdict in
      client.subscribe(
        .subscribeToIoTCore(topicFilter: "\(topic)/\(verdict)", qualityOfService: .atLeastOnce))
    }
    answers = (topic, streams)
  }

  /// Asks again for the subscriptions that match, on new streams.
  private func renewSubscriptions(where matches: (IPCSubscription) -> Bool) {
    for stream in answers?.streams ?? [] where matches(stream) { client.renew(stream) }
  }

  /// An acknowledgement of the nucleus isn't one of AWS IoT.
  package var provesDelivery: Bool { false }

  package func announce(reportID: UInt64) { verdicts.begin(reportID: reportID) }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    guard let streams = answers?.streams else { return nil }
    while true {
      if let answer = lateConfirmation(of: reportID) { return answer }
      // Nobody will answer if both subscriptions were refused; the client has logged why.
      if let refusal = refusal(of: streams), streams.allSatisfy(\.isRefused) { return refusal }
      let end = client.serve(until: deadline) {
        streams.contains { $0.hasEvents } || streams.allSatisfy(\.isRefused)
      }
      switch end {
      case .condition: continue
      case .shutdown: return .stopped
      case .onTime:
        let refusal = refusal(of: streams)
        // Lite may have dropped the subscriptions without a word.
        renewSubscriptions { !$0.isRefused }
        return refusal ?? .unanswered
      }
    }
  }

  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    takeAnswers()
    return verdicts.confirmation(of: reportID)
  }

  /// Why answers can't be received; nil if no subscription is refused.
  private func refusal(of streams: [IPCSubscription]) -> ReportConfirmation? {
    guard let stream = streams.first(where: \.isRefused) else { return nil }
    guard let refusal = stream.refusal else {
      return .unavailable(reason: "the Greengrass nucleus ended the subscription")
    }
    let advice = stream.wasGranted ? refusal.adviceOnWithdrawal : refusal.advice
    return .unavailable(reason: "\(sentence("\(refusal)")) \(advice)")
  }

  /// Decides about the answers that have come; IPC doesn't tell whether a message was retained.
  private func takeAnswers() {
    for event in (answers?.streams ?? []).flatMap({ $0.takeEvents() }) {
      guard
        let message = event["message"], let topic = message["topicName"]?.string,
        let payload = message["payload"]?.string.flatMap(base64Decoding)
      else {
        log.warn("Ignored an event of the Greengrass nucleus that has no message in it.")
        continue
      }
      let verdict = verdicts.take(on: topic, payload: payload)
      switch verdict {
      case .counts, .replacesRejection: break
      case .isOfAnotherTopic, .isUnreadable: log.warn("Ignored a message on '\(topic)': \(verdict).")
      default: log.debug("Ignored an answer on '\(topic)': \(verdict).")
      }
    }
  }
}
