import MQTT
import Platform

extension MQTTPublisher {
  /// Subscribes to what the agent receives, unless the session already has the subscriptions or a retry isn't due yet: the
  /// answers to reports on `topic`, if that is Device Defender's, and the commands.
  func subscribe(
    _ session: Session, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) {
    if topic.isDeviceDefenders, answeredTopic != topic, answerSubscription.isDue(at: time.bootTime) {
      let filters = ["\(topic)/accepted", "\(topic)/rejected"]
      if try subscribe(session, to: filters, .answers, topic, until: deadline) { answeredTopic = topic }
    }
    if let commands, !hasCommandSubscription, commandSubscription.isDue(at: time.bootTime) {
      let filters = [commands.topics.commands.name]
      hasCommandSubscription = try subscribe(session, to: filters, .commands, topic, until: deadline)
      noteCommandSubscription(to: commands.topics.commands)
    }
  }

  private enum Purpose {
    case answers, commands
  }

  private subscript(purpose: Purpose) -> SubscriptionAttempts {
    get { purpose == .answers ? answerSubscription : commandSubscription }
    set { if purpose == .answers { answerSubscription = newValue } else { commandSubscription = newValue } }
  }

  /// Subscribes to `filters`. Returns false if the broker doesn't allow that and the session continues without.
  private func subscribe(
    _ session: Session, to filters: [String], _ purpose: Purpose, _ topic: Topic, until deadline: BootTime
  ) throws(TransportFailure) -> Bool {
    let limit = min(deadline, time.bootTime.advanced(by: settings.stepTimeout))
    do throws(MQTTError) {
      // A retained command is ignored, and needn't wake the device.
      try session.subscribe(to: filters, wantsRetained: purpose != .commands, until: limit)
      self[purpose].succeeded()
      return true
    } catch .subscriptionRefused(let filter, let reason) {
      let words = reason.map { ": \($0)" } ?? ""
      self[purpose].putOff("the broker rejected the subscription to '\(filter)'\(words)", at: time.bootTime)
    } catch .disconnected(let reason) where reason.code == .notAuthorized {
      self[purpose].putOff(
        "the broker ended the connection after a request to subscribe: \(reason)", at: time.bootTime)
      let failure = lostConnection(.disconnected(reason), topic: topic.name)
      // The next connection doesn't subscribe.
      throw TransportFailure(reason: failure.reason, advice: failure.advice, isTransient: true)
    } catch .tooLarge(let bytes, let limit) {
      self[purpose].putOff(
        "the request to subscribe has \(bytes) bytes, but the broker accepts at most \(limit)",
        at: time.bootTime)
    } catch {
      self[purpose].lost(error, hasHeld: session.hasHeld, at: time.bootTime)
      let failure = lostConnection(error, topic: topic.name)
      switch error {
      case .closedByServer where purpose == .commands, .connectionLost where purpose == .commands:
        throw TransportFailure(reason: failure.reason, advice: adviceOnCommands, failure.kind)
      default: throw failure
      }
    }
    return false
  }

  /// Logs a warning for each subscription that is missing, after a report was acknowledged without it.
  func noteDelivery() {
    wantsControl = false
    if let problem = answerSubscription.takeProblem() { log.warn(advice.warning(ofSubscription: problem)) }
    if let problem = commandSubscription.takeProblem() { warnOfCommands(problem) }
  }
}
