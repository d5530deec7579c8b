import MQTT
import Platform

extension MQTTPublisher {
  /// Subscribes to the answers to reports on `topic`, unless it isn't Device Defender's topic, there is a subscription
  /// already, or a retry isn't due yet.
  func subscribe(
    _ session: Session, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) {
    guard topic.isDeviceDefenders, answeredTopic != topic else { return }
    if let nextSubscription, time.bootTime < nextSubscription { return }
    let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
    do throws(MQTTError) {
      try session.subscribe(to: ["\(topic)/accepted", "\(topic)/rejected"], until: limit)
      answeredTopic = topic
      lostSubscriptions = 0
      nextSubscription = nil
    } catch .subscriptionRefused(let filter, let reason) {
      let words = reason.map { ": \($0)" } ?? ""
      putOffSubscription("the broker rejected the subscription to '\(filter)'\(words)")
    } catch .disconnected(let reason) where reason.code == .notAuthorized {
      putOffSubscription("the broker ended the connection after a request to subscribe: \(reason)")
      let failure = lostConnection(.disconnected(reason), topic: topic.name)
      // The next connection doesn't subscribe.
      throw TransportFailure(reason: failure.reason, advice: failure.advice, isTransient: true)
    } catch .tooLarge(let bytes, let limit) {
      putOffSubscription(
        "the request to subscribe has \(bytes) bytes, but the broker accepts at most \(limit)")
    } catch {
      switch error {
      case .closedByServer, .connectionLost: lostSubscriptions += 1
      case .disconnected(let reason) where !reason.code.isOfServer: lostSubscriptions += 1
      default: break  // A slow network or a busy server says nothing about a policy.
      }
      // Unless the server has sent something on this connection, it may be closing every connection, whatever is sent.
      // Three losses in a row are required, because a network that loses one packet in twenty causes two within hours.
      if lostSubscriptions >= 3, session.hasHeld {
        putOffSubscription(
          "the broker ended three connections in a row after a request to subscribe: \(error)")
      }
      throw lostConnection(error, topic: topic.name)
    }
  }

  /// Continues without answers for an hour, and then retries, because the policy may have been corrected.
  private func putOffSubscription(_ problem: String) {
    lostSubscriptions = 0
    nextSubscription = time.bootTime.advanced(by: Self.subscriptionRetryInterval)
    subscriptionProblem = problem
  }
}
