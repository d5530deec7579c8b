import Platform
import WireFormats

/// A command to the agent: the message on `DEFENDER_COMMAND_TOPIC`.
///
///     {"command": "interval", "seconds": 600, "id": "42"}
package struct Command: Equatable, Sendable {
  package enum Action: Equatable, Sendable {
    /// Make a report now.
    case report
    /// Report at another interval until the next restart; nil for the configured one.
    case interval(Duration?)
  }

  /// The size of the largest command, in bytes.
  package static let maximumBytes = 1_024
  /// The size of the longest id, in bytes.
  package static let maximumIDBytes = 64

  package let action: Action
  /// Identifies repetitions of the same command; nil if the sender gave none.
  package let id: String?

  /// The name of the command in a message.
  package var name: String {
    switch action {
    case .report: "report"
    case .interval: "interval"
    }
  }

  /// Parses a message. Every member but `command` is optional, and unknown members are rejected, so that a typo is never
  /// silently ignored.
  package init(parsing payload: [UInt8]) throws(CommandError) {
    guard payload.count <= Self.maximumBytes else {
      throw CommandError("the message has more than \(Self.maximumBytes) bytes")
    }
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: payload)
    } catch {
      throw CommandError("the message is \(error.shown)")
    }
    guard let members = document.members else {
      throw CommandError(
        "the message is \(document.kind); expected an object such as {\"command\":\"report\"}")
    }
    let id = try Self.id(document["id"])
    do throws(CommandError) {
      try Self.checkNames(members)
      action = try Self.action(document)
    } catch {
      throw CommandError(error.reason, id: id)
    }
    self.id = id
  }

  /// Returns the name and the id of a message, as far as they are valid.
  static func identity(of payload: [UInt8]) -> (name: String?, id: String?) {
    do throws(CommandError) {
      let command = try Command(parsing: payload)
      return (command.name, command.id)
    } catch {
      return (nil, error.id)
    }
  }

  private static func id(_ value: JSONValue?) throws(CommandError) -> String? {
    guard let value else { return nil }
    guard let id = value.string, (1...maximumIDBytes).contains(id.utf8.count) else {
      throw CommandError("'id' is \(shown(value)); expected text of 1 to \(maximumIDBytes) bytes")
    }
    return id
  }

  private static func checkNames(_ members: [JSONValue.Member]) throws(CommandError) {
    guard let unknown = members.first(where: { !["command", "seconds", "id"].contains($0.name) }) else {
      return
    }
    throw CommandError("'\(shown(unknown.name))' is unknown; allowed: command, seconds, id")
  }

  private static func action(_ document: JSONValue) throws(CommandError) -> Action {
    guard let command = document["command"] else {
      throw CommandError("'command' is missing; allowed: report, interval")
    }
    let seconds = document["seconds"]
    switch command {
    case .string("interval"): return .interval(try interval(seconds))
    case .string("report"):
      guard seconds == nil else {
        throw CommandError("'seconds' is only allowed with the command 'interval'")
      }
      return .report
    default: throw CommandError("'command' is \(shown(command)); allowed: report, interval")
    }
  }

  /// Parses an interval like that of an event and of `SAMPLE_INTERVAL_SECONDS`; nil for the configured one.
  private static func interval(_ value: JSONValue?) throws(CommandError) -> Duration? {
    guard let value else { return nil }
    guard let seconds = value.double, Configuration.intervalRange.contains(seconds) else {
      throw CommandError("'seconds' is \(shown(value)); expected a number of seconds, from 0.001 to 604800")
    }
    // 16.1 s are 16100.000000000002 ms in binary. The least valid number is 1 ms, so none becomes zero.
    return .milliseconds(Int64((seconds * 1_000).rounded()))
  }

  private static func shown(_ value: JSONValue) -> String {
    var text = JSONWriter()
    value.write(to: &text)
    return shown(String(decoding: text.bytes, as: UTF8.self))
  }

  private static func shown(_ text: String) -> String { ServerText().shown(text, limit: 100) }
}

extension JSONError {
  /// The description, without long text of the sender.
  fileprivate var shown: String { ServerText().shown(description, limit: 200) }
}

/// Why a message isn't a command.
package struct CommandError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The invalid part with its value, and what is allowed.
  package let reason: String
  /// The id of the message; nil if it has no valid one.
  package let id: String?

  init(_ reason: String, id: String? = nil) {
    self.reason = reason
    self.id = id
  }

  package var description: String { reason }
}
