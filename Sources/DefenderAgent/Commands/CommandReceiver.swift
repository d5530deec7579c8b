package import Platform
import WireFormats

/// The topics of commands and of the responses to them.
package struct CommandTopics: Equatable, Sendable {
  package let commands: Topic
  /// The topic of the commands, followed by `/response`.
  package let responses: Topic

  package init(_ commands: Topic) throws(TopicError) {
    self.commands = commands
    responses = try Topic(validating: commands.name + "/response")
  }
}

/// A transport that receives commands while it is connected.
package protocol CommandReceiver: AnyObject {
  /// The topics of commands; nil if the transport shouldn't receive any.
  var commandTopics: CommandTopics? { get }

  /// Returns and removes the commands that have arrived, the oldest first. Must not wait for more.
  func takeCommands() -> [[UInt8]]

  /// Publishes the response to a command in a single attempt: if the policy doesn't allow it, the next report has to reconnect at
  /// most once. Must give up at `deadline`.
  func respond(_ payload: [UInt8], until deadline: BootTime) throws(PublishError)
}

/// Collects the commands that arrive, for every transport.
package struct CommandInbox: Sendable {
  /// The largest number of commands that wait. The limit on commands is lower, so later ones would be dropped anyway.
  package static let capacity = 16

  package let topics: CommandTopics
  private var payloads: [[UInt8]] = []
  private var hasIgnoredRetained = false

  package init(_ topics: CommandTopics) {
    self.topics = topics
  }

  package var isEmpty: Bool { payloads.isEmpty }

  /// Processes a message. Returns whether it is on the command topic.
  ///
  /// A retained command would be carried out again after each connection, so it is ignored.
  package mutating func take(_ payload: [UInt8], on topic: String, isRetained: Bool, log: Log) -> Bool {
    guard topic == topics.commands.name else { return false }
    if isRetained {
      if !hasIgnoredRetained {
        hasIgnoredRetained = true
        log.warn(
          "Ignored a retained command on \(topic): the broker would repeat it after each connection. Publish commands "
            + "without the retain flag, and remove the retained one with an empty retained message.")
      }
    } else if !payload.isEmpty, payloads.count < Self.capacity {
      // An empty message only removes a retained one.
      // A larger message is rejected because of its size, whatever it contains.
      payloads.append(Array(payload.prefix(Command.maximumBytes + 1)))
    }
    return true
  }

  /// Returns and removes the commands that have arrived, the oldest first.
  package mutating func takeAll() -> [[UInt8]] {
    defer { payloads = [] }
    return payloads
  }
}
