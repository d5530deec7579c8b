package import Platform
import WireFormats

/// Lines of CloudWatch's embedded metric format, which become metrics without a request ("Specification: Embedded metric
/// format", Amazon CloudWatch user guide).
package struct FleetMetrics {
  /// The namespace of the metrics.
  package static let namespace = "DeviceDefender/Detect"

  private let function: String
  private let timestamp: UInt64

  /// Creates lines about a function at a time.
  package init(function: String, at time: WallTime) {
    self.function = function
    timestamp = UInt64(clamping: time.nanosecondsSinceEpoch / 1_000_000)
  }

  /// Returns a line about the reports, and one for each behavior with events.
  package func lines(_ counts: FleetCounts, latency: Duration?) -> [[UInt8]] {
    var values: [(String, UInt64, String)] = [
      ("ReportsEvaluated", UInt64(clamping: counts.evaluated), "Count"),
      ("ReportsLate", UInt64(clamping: counts.late), "Count"),
      ("ReportsMalformed", UInt64(clamping: counts.malformed), "Count"),
      ("ReportsUnmatched", UInt64(clamping: counts.unmatched), "Count"),
      ("StoreConflicts", UInt64(clamping: counts.conflicts), "Count"),
      ("EventsUndelivered", UInt64(clamping: counts.undelivered), "Count"),
    ]
    if let latency {
      values.append(("BatchLatency", UInt64(clamping: Int64(latency.inSeconds * 1_000)), "Milliseconds"))
    }
    let kinds = counts.events.sorted {
      ($0.key.profile, $0.key.behavior, $0.key.type) < ($1.key.profile, $1.key.behavior, $1.key.type)
    }
    return [line([("Function", function)], values)]
      + kinds.map { kind, count in
        line(
          [("Profile", kind.profile), ("Behavior", kind.behavior)],
          [(Self.name(ofType: kind.type), UInt64(clamping: count), "Count")])
      }
  }

  private static func name(ofType type: String) -> String {
    switch type {
    case "in-alarm": "Violations"
    case "alarm-cleared": "AlarmsCleared"
    default: "AlarmsInvalidated"
    }
  }

  private func line(
    _ dimensions: [(String, String)], _ values: [(name: String, value: UInt64, unit: String)]
  ) -> [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 0)
    document.key("_aws")
    document.beginMap(count: 2)
    document.member("Timestamp", timestamp)
    document.key("CloudWatchMetrics")
    document.beginList(count: 1)
    document.beginMap(count: 3)
    document.member("Namespace", Self.namespace)
    document.key("Dimensions")
    document.beginList(count: 1)
    document.beginList(count: dimensions.count)
    for (name, _) in dimensions { document.string(name) }
    document.endList()
    document.endList()
    document.key("Metrics")
    document.beginList(count: values.count)
    for value in values {
      document.beginMap(count: 2)
      document.member("Name", value.name)
      document.member("Unit", value.unit)
      document.endMap()
    }
    document.endList()
    document.endMap()
    document.endList()
    document.endMap()
    for (name, value) in dimensions { document.member(name, value) }
    for value in values { document.member(value.name, value.value) }
    document.endMap()
    return document.bytes
  }
}
