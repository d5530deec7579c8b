import DeviceDefender

/// Learns a security profile from what healthy devices reported.
///
/// It keeps one small value for each thing, and values whose size doesn't depend on the number of reports. The same reports always
/// give the same profile, and evaluating that profile over these reports raises no alarm.
package struct Learner: Sendable {
  /// The largest number of custom metrics. Each can need two of the 100 behaviors of a profile.
  static let maximumCustomMetrics = 100

  private struct Thing {
    var lastReportID: UInt64
    var firstTime: UInt64
    var lastTime: UInt64
  }

  /// The metrics that the learner needs from reports: all.
  package let table = MetricTable.ofAllMetrics

  /// The number of reports that were learned from.
  package private(set) var reportCount = 0
  /// The number of reports that were ignored because their report id wasn't greater than an earlier one of the same thing.
  package private(set) var ignoredReports = 0
  /// The number of reports in which at least one list is only a sample.
  private(set) var sampledReports = 0
  /// The number of values of custom metrics that aren't learned, because there are too many metrics or the name is invalid.
  private(set) var ignoredCustomValues = 0

  private var indexes: [String: Int] = [:]
  private var things: [Thing] = []
  private(set) var traffic = TrafficWindows()
  private(set) var largestCounts: [DeviceMetric: UInt64] = [:]
  private(set) var tcpPorts = LearnedPorts()
  private(set) var udpPorts = LearnedPorts()
  private(set) var destinations: LearnedNetworks?
  private(set) var customMetrics: [String: LearnedCustomMetric] = [:]

  package init() {}

  var thingCount: Int { things.count }

  /// The longest time between the first and the last report of a thing, in seconds.
  var longestSpan: UInt64 { things.lazy.map { ($0.lastTime - $0.firstTime) / 1_000 }.max() ?? 0 }

  /// Learns from a report.
  package mutating func observe(_ observation: Observation) {
    guard let thing = index(observation) else {
      ignoredReports += 1
      return
    }
    reportCount += 1
    traffic.add(observation, ofThing: thing)
    for metric in [DeviceMetric.listeningTCPPortCount, .listeningUDPPortCount, .establishedConnectionCount] {
      guard case .count(let count)? = observation.datapoints[metric.slot] else { continue }
      largestCounts[metric] = max(largestCounts[metric] ?? 0, count)
    }
    if case .ports(let ports)? = observation.datapoints[DeviceMetric.listeningTCPPorts.slot] {
      tcpPorts.insert(ports)
    }
    if case .ports(let ports)? = observation.datapoints[DeviceMetric.listeningUDPPorts.slot] {
      udpPorts.insert(ports)
    }
    if case .addresses(let list)? = observation.datapoints[DeviceMetric.destinations.slot] {
      if destinations == nil { destinations = LearnedNetworks() }
      destinations?.insert(list)
    }
    if observation.hasSample { sampledReports += 1 }
    for metric in observation.otherMetrics { learn(metric) }
  }

  /// Returns the index of the observation's thing; nil if the report is a duplicate or an older one.
  private mutating func index(_ observation: Observation) -> Int? {
    let time = observation.time
    guard let index = indexes[observation.thing] else {
      let index = things.count
      indexes[observation.thing] = index
      things.append(Thing(lastReportID: observation.reportID, firstTime: time, lastTime: time))
      traffic.appendThing()
      return index
    }
    guard observation.reportID > things[index].lastReportID else { return nil }
    things[index].lastReportID = observation.reportID
    if time > things[index].lastTime {
      traffic.addGap(milliseconds: time - things[index].lastTime)
      things[index].lastTime = time
    }
    return index
  }

  private mutating func learn(_ metric: CustomDatapoint) {
    let datapoint = metric.datapoint
    if customMetrics[metric.name] != nil {
      customMetrics[metric.name]?.insert(datapoint)
    } else if customMetrics.count < Self.maximumCustomMetrics, SecurityProfile.isName(metric.name),
      !metric.name.hasPrefix("aws:"), let learned = LearnedCustomMetric(datapoint)
    {
      customMetrics[metric.name] = learned
    } else {
      ignoredCustomValues += 1
    }
  }
}
