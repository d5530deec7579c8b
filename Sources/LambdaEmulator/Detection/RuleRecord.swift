package import Platform
import WireFormats

/// A topic of reports, from which the rule of the template lambda/aws/detect.yaml selects.
package struct ReportTopic: Equatable, Sendable {
  package let thing: String

  /// Parses `device-defender/THING/metrics/FORMAT`, or Device Defender's own topic; nil for any other.
  ///
  /// With Basic Ingest, the topic follows `$aws/rules/RULE/`.
  package init?(_ topic: String) {
    var levels = topic.split(separator: "/", omittingEmptySubsequences: false)[...]
    if levels.count > 3, levels.prefix(2) == ["$aws", "rules"] { levels = levels.dropFirst(3) }
    let parts = Array(levels)
    switch parts.count {
    case 4 where parts[0] == "device-defender" && parts[2] == "metrics":
      thing = String(parts[1])
    case 6 where parts.prefix(2) == ["$aws", "things"] && parts[3...4] == ["defender", "metrics"]:
      thing = String(parts[2])
    default: return nil
    }
    guard let format = parts.last, format == "json" || format == "cbor" else { return nil }
  }
}

/// What the rule of the template selects from a report, JSON or CBOR:
/// `SELECT encode(*, 'base64') AS payload, topic(2) AS thing, timestamp() AS timestamp`.
package struct RuleRecord: Equatable, Sendable {
  package let body: [UInt8]

  /// Creates the record of a payload.
  package init(_ payload: [UInt8], _ topic: ReportTopic, at time: WallTime) {
    let milliseconds = time.nanosecondsSinceEpoch / 1_000_000
    var document = JSONWriter()
    document.beginMap(count: 3)
    document.member("payload", base64(payload))
    document.member("thing", topic.thing)
    document.member("timestamp", UInt64(clamping: milliseconds))
    document.endMap()
    body = document.bytes
  }
}
