package import GreengrassIPC
package import Platform
package import WireFormats

/// Publishes through the Greengrass nucleus, and receives Device Defender's answers to the reports.
///
/// A successful publish proves little. The classic nucleus keeps a message while its MQTT connection is down. Lite has only
/// written the message to a socket, and loses it if that connection is dead. Neither reports what AWS IoT acknowledged.
/// No AWS credentials are needed: the policy of the core's certificate has to allow the topic.
package final class GreengrassPublisher: Publisher, ReportConfirmer {
  /// How often, and after which delays, a publish is retried.
  package struct RetryPolicy: Sendable {
    /// The number of retries. AWS's own component calls it `PublishRetryCount`.
    package var count = 5
    /// The delay before the first retry. It doubles with each retry, up to `longestDelay`; half of each delay is random.
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

  static let attemptTimeout = Duration.seconds(10)
  static let endpoint = "the Greengrass nucleus"

  package var retries = RetryPolicy()
  let client: IPCClient
  let time: any TimeSource
  let log: Log
  private var random: any RandomNumberGenerator
  /// The topic of the last report that the nucleus accepted: the component's `accessControl` allowed it.
  private var allowedTopic: Topic?
  /// The topic of the reports, and the subscriptions to the answers to them.
  private var answers: (topic: Topic, streams: [IPCSubscription])?
  private var verdicts = ReportAnswers()
  private let coreStatus: CoreStatus
  /// The commands that arrive; nil if none are configured.
  var commandStream: CommandStream?
  /// Whether the core was offline when the nucleus accepted the last report.
  private var isLastReportSpooled = false
  private var repeats = RepeatFilter(interval: .seconds(240))

  package init(
    _ client: IPCClient, time: any TimeSource, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.client = client
    self.time = time
    self.log = log
    self.random = random
    coreStatus = CoreStatus(client, log: log)
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    try checkSize(of: payload, to: topic, at: Self.endpoint)
    try checkSizeForLite(payload, topic)
    subscribe(to: topic)
    renewSubscriptions(where: \.mayBeGranted)
    let request = IPCRequest.publishToIoTCore(
      topic: topic.name, qualityOfService: qos, payload: payload)
    // Messages that have already arrived can't answer a report that hasn't been sent yet.
    takeAnswers()
    verdicts.noteSending(to: topic)
    var attempts = 0
    while true {
      attempts += 1
      do throws(IPCError) {
        let limit = min(deadline, time.bootTime.advanced(by: Self.attemptTimeout))
        _ = try client.call(request, until: limit)
        allowedTopic = topic
        // The nucleus now grants subscriptions that it refused while the core was offline.
        renewSubscriptions { $0.isRefused }
        renewCommandsOnLite()
        // After a reconnect, the nucleus may answer before it announces the state.
        _ = coreStatus.isOnline(client, until: min(deadline, time.bootTime.advanced(by: .seconds(1))))
        isLastReportSpooled = coreStatus.isOffline
        let note = isLastReportSpooled ? ", which has no connection to AWS IoT" : ""
        return PublishReceipt(
          attempts: attempts, answer: "accepted by the nucleus\(note)", isSpooled: isLastReportSpooled)
      } catch {
        let failure = failure(error, payload: payload, topic: topic)
        guard failure.isTransient, waitsForRetry(after: error, attempts: attempts, until: deadline) else {
          throw PublishError(
            .transport(failure), topic: topic, endpoint: Self.endpoint, attempts: attempts)
        }
      }
    }
  }

  /// Throws if the report is so long that nucleus lite would close the connection, and with it the subscriptions.
  private func checkSizeForLite(_ payload: [UInt8], _ topic: Topic) throws(PublishError) {
    guard client.leavesStreamsOpen == true, let advice = adviceOnSize(payload, topic) else { return }
    let failure = TransportFailure(
      reason: "the report has \(payload.count) bytes", advice: advice, .unacceptable)
    throw PublishError(.transport(failure), topic: topic, endpoint: Self.endpoint, attempts: 0)
  }

  /// Waits until the next attempt is due. Returns false if there should be none.
  private func waitsForRetry(after error: IPCError, attempts: Int, until deadline: BootTime) -> Bool {
    guard attempts <= retries.count else { return false }
    // If the nucleus restarted since the last report, this attempt is the first to notice. Retry at once: the client waits
    // before it reconnects.
    if case .disconnected = error, attempts == 1 { return true }
    let next = time.bootTime.advanced(by: retries.delay(afterAttempt: attempts, using: &random))
    guard next < deadline else { return false }
    let text = "Retrying in \(Int(time.bootTime.duration(to: next).inSeconds)) s: \(sentence("\(error)"))"
    if repeats.allows("\(error)", at: time.bootTime) { log.info(text) } else { log.debug(text) }
    return client.serve(until: next) == .onTime
  }

  func failure(_ error: IPCError, payload: [UInt8], topic: Topic) -> TransportFailure {
    if error == .shutdown { return .stopped(before: "the nucleus answered", isUnderWay: true) }
    // Lite closes the connection on a message that is too long, and would do so again.
    if case .disconnected = error, client.leavesStreamsOpen != false,
      let advice = adviceOnSize(payload, topic)
    {
      return TransportFailure(reason: error.description, advice: advice, .unacceptable)
    }
    if error.isUnauthorized, allowedTopic == topic {
      return TransportFailure(
        reason: error.description, advice: error.adviceOnWithdrawal, isTransient: true)
    }
    return TransportFailure(
      reason: error.description, advice: error.advice, isTransient: error.isTransient)
  }

  /// Returns the advice about a payload that is too long for nucleus lite; nil if it isn't too long.
  private func adviceOnSize(_ payload: [UInt8], _ topic: Topic) -> String? {
    let limit = IPCRequest.maximumPublishPayload(
      topic: topic.name, messageLimit: IPCRequest.messageLimitOfLite)
    guard payload.count > limit else { return nil }
    return
      "Greengrass nucleus lite accepts at most \(limit) bytes on this topic and closes the connection on more; the report has "
      + "\(payload.count). Remove MaximumReportBytes to use the default."
  }

  package var isConnected: Bool { client.isConnected }

  /// Returns whether the core is connected to AWS IoT; nil if the nucleus refuses the subscription, or announces nothing before `deadline`.
  package func isCoreOnline(until deadline: BootTime) -> Bool? {
    coreStatus.isOnline(client, until: deadline)
  }

  package var connectionNote: String? {
    coreStatus.update()
    return coreStatus.isOffline ? "the core has no connection to AWS IoT" : nil
  }

  /// Connects to the nucleus if there is no connection to it, with a call that changes nothing.
  package func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    do throws(IPCError) {
      let limit = min(deadline, time.bootTime.advanced(by: Self.attemptTimeout))
      if !client.isConnected { _ = try client.call(.getConfiguration, until: limit) }
    } catch .refused {
      // A refusal is an answer, too.
    } catch {
      let failure = failure(error, payload: [], topic: topic)
      throw PublishError(.transport(failure), topic: topic, endpoint: Self.endpoint, attempts: 1)
    }
    var opened = OpenedConnection(endpoint: Self.endpoint)
    opened.staysOpen = true
    return opened
  }

  // MARK: Device Defender's answers

  /// Subscribes to the answers to reports on `topic` if it is Device Defender's topic. Ends the subscriptions to others.
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

  /// Whether Device Defender answers the reports.
  var expectsAnswers: Bool { answers != nil }

  /// Renews the matching subscriptions on new streams.
  private func renewSubscriptions(where matches: (IPCSubscription) -> Bool) {
    let streams = (answers?.streams ?? []) + [commandStream?.subscription].compactMap { $0 }
    for stream in streams where matches(stream) { client.renew(stream) }
  }

  /// False, because the nucleus's acknowledgement isn't one of AWS IoT.
  package var provesDelivery: Bool { false }

  package func announce(reportID: UInt64) { verdicts.begin(reportID: reportID) }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    guard let streams = answers?.streams else { return nil }
    while true {
      if let answer = lateConfirmation(of: reportID) { return answer }
      // An answer can't arrive before the core is connected to AWS IoT again.
      if isLastReportSpooled { return .spooled }
      // If the nucleus refused both subscriptions, no answer can arrive. The client has logged why.
      if let refusal = refusal(of: streams), streams.allSatisfy(\.isRefused) { return refusal }
      let end = client.serve(until: deadline) {
        streams.contains { $0.hasEvents } || streams.allSatisfy(\.isRefused)
      }
      switch end {
      case .condition: continue
      case .shutdown: return .stopped
      case .onTime:
        let refusal = refusal(of: streams)
        // Lite may have silently dropped the subscriptions.
        renewSubscriptions { !$0.isRefused }
        return refusal ?? .unanswered
      }
    }
  }

  package func lateConfirmation(of reportID: UInt64) -> ReportConfirmation? {
    takeAnswers()
    return verdicts.confirmation(of: reportID)
  }

  /// Returns why answers can't be received; nil if the nucleus refused no subscription.
  private func refusal(of streams: [IPCSubscription]) -> ReportConfirmation? {
    guard let stream = streams.first(where: \.isRefused) else { return nil }
    guard let refusal = stream.refusal else {
      return .unavailable(reason: "the Greengrass nucleus ended the subscription")
    }
    let advice = stream.wasGranted ? refusal.adviceOnWithdrawal : refusal.advice
    return .unavailable(reason: "\(sentence("\(refusal)")) \(advice)")
  }

  /// Returns the topic and the payload of the message that `event` contains; nil if it contains none.
  func message(in event: JSONValue) -> (topic: String, payload: [UInt8])? {
    guard
      let message = event["message"], let topic = message["topicName"]?.string,
      let payload = message["payload"]?.string.flatMap(base64Decoding)
    else { return nil }
    return (topic, payload)
  }

  /// Processes the answers that have arrived. IPC doesn't show whether a message was retained.
  private func takeAnswers() {
    for event in (answers?.streams ?? []).flatMap({ $0.takeEvents() }) {
      guard let (topic, payload) = message(in: event) else {
        if repeats.allows("event", at: time.bootTime) {
          log.warn("Ignored an event of the Greengrass nucleus without a message.")
        }
        continue
      }
      let verdict = verdicts.take(on: topic, payload: payload)
      switch verdict {
      case .counts, .replacesRejection: break
      case .isOfAnotherTopic, .isUnreadable:
        guard repeats.allows("message", at: time.bootTime) else { break }
        log.warn("Ignored a message on '\(topic)': \(verdict).")
      default: log.debug("Ignored an answer on '\(topic)': \(verdict).")
      }
    }
  }
}
