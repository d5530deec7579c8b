import DeviceDefender
import Detection

/// The alarms of one behavior of one thing.
struct AlarmHistory: Equatable, Sendable {
  private(set) var count = 0
  /// When the active alarm began, in seconds; nil if there is none.
  private(set) var since: UInt64?
  /// The time in alarm, in seconds.
  private(set) var seconds: UInt64 = 0
  /// When the latest alarm began.
  private(set) var latest: UInt64 = 0
  /// The value that raised the latest alarm.
  private(set) var value = ""
  private(set) var buckets = BucketSet()

  mutating func begin(at time: UInt64, value: String, _ axis: TimeAxis) {
    count += 1
    since = time
    latest = max(time, latest)
    self.value = value
    mark(time, time, includesEnd: true, axis)
  }

  /// Ends the active alarm. If `isActive` is true, the alarm stays active, and only its time is added, because the input has ended.
  mutating func end(at time: UInt64, isActive: Bool = false, _ axis: TimeAxis) {
    guard let start = since else { return }
    if !isActive { since = nil }
    guard axis.isPlausible(start), axis.isPlausible(time), time >= start else { return }
    seconds += time - start
    mark(start, time, includesEnd: isActive, axis)
  }

  private mutating func mark(_ start: UInt64, _ end: UInt64, includesEnd: Bool, _ axis: TimeAxis) {
    guard axis.isPlausible(start), !axis.buckets.isEmpty else { return }
    let first = axis.bucket(at: start)
    let last = axis.bucket(at: includesEnd || end == 0 ? end : end - 1)
    buckets.insert(first...max(first, last))
  }

  mutating func merge(by factor: Int) { buckets.merge(by: factor) }
}

/// How often a thing reports. From this, it follows whether there is a gap between two reports.
struct ReportRhythm: Sendable {
  private var last: UInt64?
  private var shortest = UInt64.max

  /// Returns the time of the report before the one at `time`. Nil if there is no earlier one, or if reports between the two are missing.
  mutating func previous(of time: UInt64) -> UInt64? {
    guard let last else {
      last = time
      return nil
    }
    guard time > last else { return nil }
    self.last = time
    shortest = min(shortest, time - last)
    return (time - last) / 2 < shortest ? last : nil
  }
}

/// The history of one thing.
struct ThingHistory: Sendable {
  let name: String
  /// The number of evaluated reports.
  var reports = 0
  /// The number of reports that were ignored because of their report id.
  var ignoredReports = 0
  /// The time of the latest report, in seconds. Reports from the future don't count; 0 if there are no others.
  var lastReport: UInt64 = 0
  private var rhythm = ReportRhythm()
  /// The alarms by the position of their behavior; behaviors without one are missing.
  var alarms: [Int: AlarmHistory] = [:]
  /// The counters in the order of the plans.
  var counters: [CounterHistory]
  var tcpPorts = ElementHistory<UInt16>()
  var udpPorts = ElementHistory<UInt16>()
  var destinations = ElementHistory<IPAddress>()

  init(name: String, counters: Int) {
    self.name = name
    self.counters = Array(repeating: CounterHistory(), count: counters)
  }

  mutating func add(_ observation: Observation, _ plans: [CounterPlan], _ axis: TimeAxis) {
    let time = observation.time / 1_000
    let previous = rhythm.previous(of: time)
    for (position, plan) in plans.enumerated() {
      guard let value = observation.datapoints[plan.slot]?.numericValue else { continue }
      counters[position].add(value, at: time, previous: previous, plan, axis)
    }
    if case .ports(let ports)? = observation[.listeningTCPPorts] {
      tcpPorts.add(
        ports, total: observation.total(.listeningTCPPortCount), at: time, previous: previous, axis)
    }
    if case .ports(let ports)? = observation[.listeningUDPPorts] {
      udpPorts.add(
        ports, total: observation.total(.listeningUDPPortCount), at: time, previous: previous, axis)
    }
    if case .addresses(let list)? = observation[.destinations] {
      let addresses =
        list.v4.map { IPAddress(v4: $0) }
        + list.v6.map { number in
          IPAddress(
            v6High: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
        }
      destinations.add(
        addresses, total: observation.total(.establishedConnectionCount), at: time, previous: previous, axis)
    }
  }

  mutating func merge(by factor: Int, _ plans: [CounterPlan]) {
    for (position, plan) in plans.enumerated() { counters[position].merge(by: factor, plan) }
    for position in Array(alarms.keys) { alarms[position]?.merge(by: factor) }
    tcpPorts.merge(by: factor)
    udpPorts.merge(by: factor)
    destinations.merge(by: factor)
  }

  mutating func finish(_ plans: [CounterPlan], _ axis: TimeAxis) {
    for (position, plan) in plans.enumerated() { counters[position].finish(plan, axis) }
    for position in Array(alarms.keys) { alarms[position]?.end(at: lastReport, isActive: true, axis) }
  }

  /// The number of behaviors that are in alarm at the end.
  var activeAlarms: Int { alarms.values.count { $0.since != nil } }
  var alarmCount: Int { alarms.values.reduce(0) { $0 + $1.count } }
  /// The time in alarm in seconds, added over the behaviors.
  var alarmSeconds: UInt64 { alarms.values.reduce(0) { $0 + $1.seconds } }

  /// Whether this thing comes before another one in the ranking: by active alarms, time in alarm, number of alarms, and name.
  func isWorse(than other: ThingHistory) -> Bool {
    let mine = (activeAlarms, alarmSeconds, alarmCount)
    let others = (other.activeAlarms, other.alarmSeconds, other.alarmCount)
    return mine == others ? name < other.name : mine > others
  }
}

extension Observation {
  fileprivate subscript(_ metric: DeviceMetric) -> Datapoint? { datapoints[metric.slot] }

  fileprivate func total(_ metric: DeviceMetric) -> UInt64? {
    if case .count(let count)? = self[metric] { count } else { nil }
  }
}
