import MQTT
package import Platform
import WireFormats

extension MQTTPublisher: CommandReceiver {
  package var commandTopics: CommandTopics? { commands?.topics }

  /// The descriptor on which a command arrives; nil if commands aren't configured, so that nothing else wakes the device.
  package var descriptor: Int32? { commands == nil ? nil : session?.descriptor }

  package var needsCaller: Bool { commands.map { !$0.isEmpty || hasUnread } ?? false }

  package func takeCommands() -> [[UInt8]] {
    guard commands != nil, session != nil else { return commands?.takeAll() ?? [] }
    // Afterwards no buffer holds unread bytes, so the descriptor shows the next arrival. Otherwise `hasUnread` is true.
    run(until: .distantFuture)
    return commands?.takeAll() ?? []
  }

  package func respond(_ payload: [UInt8], until deadline: BootTime) throws(PublishError) {
    guard let topic = commands?.topics.responses else { return }
    let message = Message(payload, to: topic, reportID: nil, expirySeconds: nil)
    do throws(TransportFailure) {
      guard let session = usableSession() else {
        throw TransportFailure(reason: "there is no connection", advice: "", isTransient: true)
      }
      try deliver(message, to: topic, .atLeastOnce, over: session, until: deadline)
    } catch {
      throw PublishError(.transport(error), topic: topic, endpoint: connector.endpoint, attempts: 1)
    }
  }

  /// Logs that commands are received, once for each process. If the broker rejected the subscription, logs that instead.
  func noteCommandSubscription(to topic: Topic) {
    guard hasCommandSubscription else {
      if let problem = commandSubscription.takeProblem() { warnOfCommands(problem) }
      return
    }
    let text =
      "Receiving commands on \(topic). The broker decides who may publish there; MQTT doesn't name the sender."
    if isFirstCommandSubscription { log.info(text) } else { log.debug(text) }
    isFirstCommandSubscription = false
  }

  /// Warns that commands can't be received by a subscription. `problem` says why.
  func warnOfCommands(_ problem: String) {
    guard let topic = commands?.topics.commands else { return }
    log.warn(
      "Can't subscribe to commands on \(topic): \(problem). Reports and direct messages still work. \(adviceOnCommands) The "
        + "agent retries every hour.")
  }

  /// The permissions that a subscription to commands needs.
  var adviceOnCommands: String {
    let topic = commands?.topics.commands.name ?? ""
    return
      "Allow iot:Subscribe on topicfilter/\(topic) and iot:Receive on topic/\(topic) in \(advice.policy), or remove "
      + "DEFENDER_COMMAND_TOPIC."
  }
}
