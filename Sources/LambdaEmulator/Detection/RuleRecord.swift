package import Platform
import WireFormats

/// A topic of reports, from which the rules of the template lambda/aws/detect.yaml select.
package struct ReportTopic: Equatable, Sendable {
  package let thing: String
  package let isCBOR: Bool

  /// Parses `device-defender/THING/metrics/FORMAT`, or Device Defender's own topic; nil for any other.
  ///
  /// With Basic Ingest, the topic follows `$aws/rules/RULE/`.
  package init?(_ topic: String) {
    var levels = topic.split(separator: "/", omittingEmptySubsequences: false)[...]
    if levels.count > 3, levels.prefix(2) == ["$aws", "rules"] { levels = levels.dropFirst(3) }
    let parts = Array(levels)
    switch parts.count {
    case 4 where parts[0] == "device-defender" && parts[2] == "metrics":
      (thing, isCBOR) = (String(parts[1]), parts[3] == "cbor")
    case 6 where parts.prefix(2) == ["$aws", "things"] && parts[3...4] == ["defender", "metrics"]:
      (thing, isCBOR) = (String(parts[2]), parts[5] == "cbor")
    default: return nil
    }
    guard let format = parts.last, format == "json" || format == "cbor" else { return nil }
  }
}

/// What a rule of AWS IoT selects from a report:
/// `SELECT *, topic(2) AS thing, timestamp() AS timestamp`, or `encode(*, 'base64') AS cbor` instead of `*`.
package struct RuleRecord: Equatable, Sendable {
  package let body: [UInt8]

  /// Creates the record of a payload; nil if it isn't a JSON object, from which a rule can't select.
  package init?(_ payload: [UInt8], _ topic: ReportTopic, at time: WallTime) {
    var members: [JSONValue.Member]
    if topic.isCBOR {
      members = [JSONValue.Member(name: "cbor", value: .string(base64(payload)))]
    } else {
      guard let selected = (try? JSONValue(parsing: payload))?.members else { return nil }
      // The rule's columns replace members of the same name, so a device can't send the name of another.
      members = selected.filter { $0.name != "thing" && $0.name != "timestamp" }
    }
    members.append(JSONValue.Member(name: "thing", value: .string(topic.thing)))
    let milliseconds = time.nanosecondsSinceEpoch / 1_000_000
    members.append(JSONValue.Member(name: "timestamp", value: .number(String(milliseconds))))
    var document = JSONWriter()
    JSONValue.object(members).write(to: &document)
    body = document.bytes
  }
}
