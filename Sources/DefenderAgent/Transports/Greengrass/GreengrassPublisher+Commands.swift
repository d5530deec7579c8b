import GreengrassIPC
package import Platform
import WireFormats

/// The subscription to the commands, and those that have arrived.
struct CommandStream {
  /// How often to renew the subscription on nucleus lite if the reports have no answers. A missing answer would show that lite dropped
  /// the subscriptions.
  static let renewalInterval = Duration.seconds(3_600)

  let subscription: IPCSubscription
  var inbox: CommandInbox
  /// When the subscription was last made or renewed.
  var renewed: BootTime
}

extension GreengrassPublisher: CommandReceiver {
  package var commandTopics: CommandTopics? { commandStream?.inbox.topics }

  /// Whether a command has arrived that ``takeCommands()`` hasn't returned yet.
  var hasCommands: Bool { commandStream?.subscription.hasEvents == true }

  /// Subscribes to the commands on `topics`, and ends the subscription to another topic. Nil ends any subscription.
  package func receiveCommands(on topics: CommandTopics?) {
    guard topics != commandTopics else { return }
    if let former = commandStream { client.unsubscribe(former.subscription) }
    commandStream = topics.map { topics in
      CommandStream(
        subscription: client.subscribe(
          .subscribeToIoTCore(topicFilter: topics.commands.name, qualityOfService: .atLeastOnce)),
        inbox: CommandInbox(topics), renewed: time.bootTime)
    }
    guard let topics else { return }
    log.info(
      "Receiving commands on \(topics.commands). AWS IoT decides who may publish there; the nucleus doesn't name the sender."
    )
  }

  /// Renews the subscription after a report to a topic without answers, at most once an hour and only on nucleus lite, which can
  /// drop subscriptions without notice.
  func renewCommandsOnLite() {
    guard client.leavesStreamsOpen == true, !expectsAnswers, let stream = commandStream,
      stream.renewed.duration(to: time.bootTime) >= CommandStream.renewalInterval
    else { return }
    commandStream?.renewed = time.bootTime
    client.renew(stream.subscription)
  }

  package func takeCommands() -> [[UInt8]] {
    for event in commandStream?.subscription.takeEvents() ?? [] {
      guard let (topic, payload) = message(in: event) else {
        log.debug("Ignored an event of the Greengrass nucleus without a message.")
        continue
      }
      // IPC doesn't show whether a message was retained.
      _ = commandStream?.inbox.take(payload, on: topic, isRetained: false, log: log)
    }
    return commandStream?.inbox.takeAll() ?? []
  }

  package func respond(_ payload: [UInt8], until deadline: BootTime) throws(PublishError) {
    guard let topic = commandTopics?.responses else { return }
    do throws(IPCError) {
      let request = IPCRequest.publishToIoTCore(
        topic: topic.name, qualityOfService: .atLeastOnce, payload: payload)
      _ = try client.call(request, until: min(deadline, time.bootTime.advanced(by: Self.attemptTimeout)))
    } catch {
      throw PublishError(
        .transport(failure(error, payload: payload, topic: topic)), topic: topic, endpoint: Self.endpoint,
        attempts: 1)
    }
  }
}
