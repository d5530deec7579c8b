package import AWSClient
package import GreengrassIPC
package import Platform
import WireFormats

extension Transport {
  /// The nucleus has the connection, and ``Component`` the publisher.
  package static let greengrass = Transport(
    name: "greengrass", takesReservedTopics: true, publishTimeout: .seconds(10),
    configuration: { _, _ in nil })
}

/// Publishes through the Greengrass nucleus, and hears what Device Defender makes of the reports.
///
/// The nucleus takes a message for its own MQTT connection and keeps it while that is down; it doesn't say what became
/// of it. No AWS credentials are needed: the certificate of the core has to allow the topic.
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

    package func delay(afterAttempt attempt: Int) -> Duration {
      let whole = min(Self.longestDelay, firstDelay * (1 << min(attempt - 1, 20)))
      return whole / 2 + whole / 2 * Double.random(in: 0...1)
    }
  }

  /// What AWS IoT takes in one message.
  private static let maximumPayloadBytes = 131_072
  private static let attemptTimeout = Duration.seconds(10)
  private static let stateTimeout = Duration.seconds(5)
  private static let endpoint = "the Greengrass nucleus"

  package var retries = RetryPolicy()
  private let client: IPCClient
  private let time: any TimeKeeper
  private let log: Log
  private var hasToldRunning = false
  /// The topic whose answers are heard, and where they come.
  private var answers: (topic: Topic, streams: [IPCSubscription])?

  package init(_ client: IPCClient, time: any TimeKeeper, log: Log) {
    self.client = client
    self.time = time
    self.log = log
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    guard payload.count <= Self.maximumPayloadBytes else {
      let cause = PublishError.Cause.payloadTooLarge(bytes: payload.count, limit: Self.maximumPayloadBytes)
      throw PublishError(cause, topic: topic, endpoint: Self.endpoint, attempts: 0)
    }
    subscribe(to: topic)
    let request = IPCRequest.publishToIoTCore(
      topic: topic.name, qualityOfService: qos.rawValue, payload: payload)
    var attempts = 0
    while true {
      attempts += 1
      do throws(IPCError) {
        let limit = min(deadline, time.bootTime.advanced(by: Self.attemptTimeout))
        _ = try client.call(request, until: limit)
        tellRunning()
        return PublishReceipt(attempts: attempts)
      } catch {
        guard waitsForRetry(after: error, attempts: attempts, until: deadline) else {
          throw PublishError(
            .transport(failure(error, payload: payload, topic: topic)), topic: topic,
            endpoint: Self.endpoint, attempts: attempts)
        }
      }
    }
  }

  /// Whether another attempt should be made; waits until it is due.
  private func waitsForRetry(after error: IPCError, attempts: Int, until deadline: BootTime) -> Bool {
    guard error.isTransient, attempts <= retries.count else { return false }
    // A nucleus that was started again since the last report shows only now; the client itself waits long enough.
    if case .disconnected = error, attempts == 1 { return true }
    let next = time.bootTime.advanced(by: retries.delay(afterAttempt: attempts))
    guard next < deadline else { return false }
    log.info("Trying again in \(Int(time.bootTime.duration(to: next).inSeconds)) s: \(error).")
    return client.serve(until: next) == .onTime
  }

  private func failure(_ error: IPCError, payload: [UInt8], topic: Topic) -> TransportFailure {
    if error == .shutdown { return .stopped(before: "the nucleus answered", isUnderWay: true) }
    return TransportFailure(
      reason: error.description, advice: advice(on: error, payload: payload, topic: topic),
      isTransient: error.isTransient)
  }

  private func advice(on error: IPCError, payload: [UInt8], topic: Topic) -> String {
    let limit = IPCRequest.maximumPublishPayload(
      topic: topic.name, messageLimit: IPCRequest.messageLimitOfLite)
    guard case .disconnected = error, payload.count > limit else { return error.advice }
    return
      "Greengrass nucleus lite takes at most \(limit) bytes on this topic and hangs up on more, and the report has "
      + "\(payload.count): leave MaximumReportBytes to its default there."
  }

  /// Tells the nucleus, once, that the component does what it is for: a recipe with the lifecycle `startup` waits for that.
  ///
  /// Whatever comes of it, the reports matter more.
  private func tellRunning() {
    guard !hasToldRunning else { return }
    hasToldRunning = true
    do throws(IPCError) {
      _ = try client.call(.updateState(.running), until: time.bootTime.advanced(by: Self.stateTimeout))
    } catch {
      log.debug("The nucleus wasn't told that the component runs: \(error).")
    }
  }

  // MARK: What Device Defender answers

  /// Asks for the answers to reports on `topic`, where there will be any.
  private func subscribe(to topic: Topic) {
    guard answers?.topic != topic else { return }
    for stream in answers?.streams ?? [] { client.unsubscribe(stream) }
    answers = nil
    guard topic.isDeviceDefenders else { return }
    let streams = ["accepted", "rejected"].map { verdict in
      client.subscribe(.subscribeToIoTCore(topicFilter: "\(topic)/\(verdict)", qualityOfService: 1))
    }
    answers = (topic, streams)
  }

  package func announce(reportID: UInt64) {
    // Answers to earlier reports came too late.
    for stream in answers?.streams ?? [] { _ = stream.takeEvents() }
  }

  package func confirmation(of reportID: UInt64, until deadline: BootTime) -> ReportConfirmation? {
    guard let streams = answers?.streams else { return nil }
    while true {
      for event in streams.flatMap({ $0.takeEvents() }) {
        guard
          let message = event["message"], let topic = message["topicName"]?.string,
          let payload = message["payload"]?.string.flatMap(base64Decoding),
          let answer = ReportAnswer(on: topic, payload: payload)
        else {
          log.warn("The Greengrass nucleus passed on a message that is no answer that can be read.")
          continue
        }
        if answer.isAbout(reportID) { return answer.confirmation }
      }
      // Nobody will answer where both subscriptions were refused; the client has said so.
      if streams.allSatisfy({ $0.isRefused }) { return nil }
      let end = client.serve(until: deadline) {
        streams.contains { $0.hasEvents } || streams.allSatisfy { $0.isRefused }
      }
      guard end == .condition else { return end == .shutdown ? .stopped : .unanswered }
    }
  }
}
