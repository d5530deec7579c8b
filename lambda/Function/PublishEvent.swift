package import DefenderAgent
import DeviceDefender
package import LambdaRuntime
import WireFormats

/// The event of `function_handler`.
///
///     {"reports": 2, "interval_seconds": 300, "format": "json", "names": "long", "dry_run": false}
extension ReportPlan {
  /// Parses an event: a JSON object of which every key is optional, or no bytes at all.
  ///
  /// Throws an ``InvocationFailure`` of type `Function.InvalidEvent` that names the key, its value and the allowed values. Unknown
  /// keys are rejected, so that a typo is never silently ignored.
  package init(event bytes: [UInt8]) throws(InvocationFailure) {
    self.init()
    guard !bytes.isEmpty else { return }
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: bytes)
    } catch {
      throw invalidEvent("The event is \(error).")
    }
    guard let members = document.members else {
      throw invalidEvent("The event is \(document.kind), but must be a JSON object such as {\"reports\": 1}.")
    }
    for member in members { try read(member) }
  }

  private mutating func read(_ member: JSONValue.Member) throws(InvocationFailure) {
    switch member.name {
    case "reports":
      guard let count = member.value.integer(as: Int.self), (1...1_000_000).contains(count) else {
        throw invalidValue(member, allowed: "a whole number from 1 to 1000000")
      }
      reports = count
    case "interval_seconds":
      guard let seconds = member.value.double, Configuration.intervalRange.contains(seconds) else {
        throw invalidValue(member, allowed: "a number of seconds, from 0.001 to 604800")
      }
      interval = .milliseconds(Int64((seconds * 1_000).rounded(.up)))
    case "format":
      guard let value = member.value.string.flatMap(ReportFormat.init(rawValue:)) else {
        throw invalidValue(member, allowed: "\"json\" or \"cbor\"")
      }
      format = value
    case "names":
      guard let value = member.value.string.flatMap(ReportNames.init(rawValue:)) else {
        throw invalidValue(member, allowed: "\"long\" or \"short\"")
      }
      names = value
    case "dry_run":
      guard let value = member.value.boolean else { throw invalidValue(member, allowed: "true or false") }
      isDryRun = value
    default:
      throw invalidEvent(
        "The event has the unknown key '\(member.name.prefix(100))'. "
          + "Allowed keys are reports, interval_seconds, format, names and dry_run.")
    }
  }
}

private func invalidEvent(_ message: String) -> InvocationFailure {
  InvocationFailure(type: "Function.InvalidEvent", message: message)
}

private func invalidValue(_ member: JSONValue.Member, allowed: String) -> InvocationFailure {
  var text = JSONWriter()
  member.value.write(to: &text)
  let value = String(decoding: text.bytes.prefix(100), as: UTF8.self)
  return invalidEvent("The event's '\(member.name)' is \(value), but must be \(allowed).")
}
