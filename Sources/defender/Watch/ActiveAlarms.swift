import Detection
import DeviceDefender
import Platform

/// The alarms that security profiles have raised and not cleared, for the table.
struct ActiveAlarms {
  /// The events that raised the alarms, the oldest first.
  private(set) var events: [ViolationEvent] = []

  /// Adds the alarms that `changes` raise, and removes those that they clear or invalidate.
  mutating func apply(_ changes: [ViolationEvent]) {
    for change in changes {
      events.removeAll { $0.id == change.id }
      if change.type == .inAlarm { events.append(change) }
    }
  }

  /// Returns the alarms of the metrics with these names.
  func events(about metrics: Set<String>) -> [ViolationEvent] {
    events.filter { metrics.contains($0.behavior.metric) }
  }

  /// The ports that violate a behavior about this metric.
  func ports(_ metric: DeviceMetric) -> Set<UInt16> {
    events(about: [metric.rawValue]).reduce(into: []) { ports, event in
      if case .ports(let offending)? = event.metricValue { ports.formUnion(offending) }
    }
  }

  /// The remote addresses that violate a behavior.
  var destinations: Set<IPAddress> {
    events(about: [DeviceMetric.destinations.rawValue]).reduce(into: []) { addresses, event in
      if case .cidrs(let offending)? = event.metricValue { addresses.formUnion(offending) }
    }
  }
}

extension ViolationEvent {
  /// The active alarm as a line below its metric: which behavior, since when, and the value that raised it.
  func alarmLine(at now: WallTime) -> String {
    let start = CivilTime(WallTime(secondsSinceEpoch: Int64(clamping: time))).extendedFormat
    let isToday = start.prefix(10) == CivilTime(now).extendedFormat.prefix(10)
    let moment =
      isToday ? "\(start.dropFirst(11).prefix(8))" : "\(start.prefix(10)) \(start.dropFirst(11).prefix(8))"
    let value = metricValue.map { ": \($0.summary)" } ?? ""
    return "! \(profile)/\(behavior.name) since \(moment)\(value)"
  }
}
