import Detection
import DeviceDefender
import Platform

/// What goes wrong on some devices: which ones, when, and the behavior that must find it.
package struct Fault: Sendable {
  package let behavior: String
  /// One of this many devices has the fault: those whose number has the remainder `remainder`.
  let share: Int
  let remainder: Int
  /// When the fault begins and ends.
  let time: Range<Duration>
  /// The longest time from the beginning to the alarm that is promised.
  package let patience: Duration

  func affects(_ number: Int) -> Bool { number % share == remainder }

  func isPresent(on number: Int, at moment: BootTime) -> Bool {
    affects(number) && time.contains(fleet_simulation.moment(.zero).duration(to: moment))
  }

  /// Each device reports every 300 s, and a restart delays one report by up to 35 s. The windows of the percentile begin at multiples of 300 s, and one is evaluated when each
  /// device has sent a report in the next one.
  static let openPort = Fault(
    behavior: "open-ports", share: 1_000, remainder: 7, time: .seconds(600)..<(.seconds(1_500)),
    patience: .seconds(300))
  static let exfiltration = Fault(
    behavior: "bytes-out", share: 500, remainder: 3, time: .seconds(900)..<(.seconds(1_800)),
    patience: .seconds(300))
  static let scan = Fault(
    behavior: "connections", share: 2_000, remainder: 11, time: .seconds(900)..<(.seconds(9_000)),
    patience: .seconds(635))
  static let manyPorts = Fault(
    behavior: "ports-of-the-fleet", share: 5_000, remainder: 13, time: .seconds(600)..<(.seconds(1_500)),
    patience: .seconds(900))

  static let all = [openPort, exfiltration, scan, manyPorts]
}

/// The alarms of one behavior.
package struct AlarmCounts: Equatable, Sendable {
  package var raised = 0
  package var cleared = 0
  package var invalidated = 0
  /// The alarms of devices without the fault.
  package var mistaken = 0
  /// The longest time from the beginning of the fault to the alarm.
  package var longestDelay = Duration.zero

  package init() {}
}

/// Evaluates the accepted reports of a fleet, all in one evaluator, as `defender detect run` does.
struct SimulatedDetection: Sendable {
  /// A bound, a sum over a window, a run of two datapoints, and a percentile over all devices.
  private static let profile = """
    {"securityProfileName":"fleet","behaviors":[
    {"name":"open-ports","metric":"aws:listening-tcp-ports",
     "criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22,443]}}},
    {"name":"bytes-out","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals",
     "value":{"count":20000},"durationSeconds":300}},
    {"name":"connections","metric":"aws:num-established-tcp-connections",
     "criteria":{"comparisonOperator":"less-than","value":{"count":100},"consecutiveDatapointsToAlarm":2}},
    {"name":"ports-of-the-fleet","metric":"aws:num-listening-tcp-ports",
     "criteria":{"comparisonOperator":"less-than-equals","statisticalThreshold":{"statistic":"p99.9"},
     "durationSeconds":300}}]}
    """
  private static let usualPorts = Datapoint.ports([22, 443])
  private static let openedPorts = Datapoint.ports([22, 443, 8080])

  private var evaluator: Evaluator
  private var template: Observation
  private(set) var alarms: [String: AlarmCounts] = [:]
  /// The number of evaluated reports.
  private(set) var reports = 0

  init() {
    let validation = ProfileValidation(of: Array(Self.profile.utf8), name: "fleet")
    evaluator = Evaluator(validation.profile.map { [$0] } ?? [])
    template = Observation(thing: "", reportID: 0, time: 0, table: evaluator.table)
  }

  /// Evaluates the report that a device sends at `now`. `last` is the time of its last accepted report, since which its deltas count.
  mutating func evaluate(_ thing: String, _ number: Int, at now: BootTime, since last: BootTime?) {
    let time = wallTime(now).nanosecondsSinceEpoch / 1_000_000
    template.thing = thing
    template.time = UInt64(clamping: time)
    template.reportID = UInt64(clamping: time / 1_000)
    func has(_ fault: Fault) -> Bool { fault.isPresent(on: number, at: now) }
    template.set(.listeningTCPPorts, has(.openPort) ? Self.openedPorts : Self.usualPorts)
    template.set(.listeningTCPPortCount, .count(UInt64(2 + number % 7 + (has(.manyPorts) ? 100 : 0))))
    template.set(.establishedConnectionCount, .count(UInt64(5 + number % 13 + (has(.scan) ? 500 : 0))))
    let rate = 10 + number % 11 + (has(.exfiltration) ? 400 : 0)
    let seconds = last.map { Int($0.duration(to: now).components.seconds) }
    template.set(.bytesOut, .count(UInt64(clamping: rate * (seconds ?? 0))))
    reports += 1
    for event in evaluator.evaluate(template) { count(event, at: now) }
  }

  private mutating func count(_ event: ViolationEvent, at now: BootTime) {
    var counts = alarms[event.behavior.name] ?? AlarmCounts()
    switch event.type {
    case .inAlarm:
      counts.raised += 1
      let number = event.thing.split(separator: "-").last.flatMap { Int($0) } ?? 0
      let fault = Fault.all.first { $0.behavior == event.behavior.name && $0.affects(number) }
      if let fault {
        let delay = moment(fault.time.lowerBound).duration(to: now)
        counts.longestDelay = max(counts.longestDelay, delay)
      } else {
        counts.mistaken += 1
      }
    case .alarmCleared: counts.cleared += 1
    case .alarmInvalidated: counts.invalidated += 1
    }
    alarms[event.behavior.name] = counts
  }
}

/// A Markdown table of alarms.
struct AlarmTable {
  /// Returns the table of a scenario whose reports were evaluated.
  static func text(_ scenario: Scenario, _ seen: Arrivals) -> String {
    var text = """
      | behavior | devices that violate it | alarms | cleared | active at the end | longest time to the alarm |
      |---|---|---|---|---|---|

      """
    for fault in Fault.all {
      let counts = seen.alarms[fault.behavior] ?? AlarmCounts()
      let cells = [
        "`\(fault.behavior)`", grouped(scenario.affected(by: fault)), grouped(counts.raised),
        grouped(counts.cleared), grouped(counts.raised - counts.cleared),
        "\(Int(counts.longestDelay.inSeconds.rounded(.up))) s",
      ]
      text += "| \(cells.joined(separator: " | ")) |\n"
    }
    return text + "\nReports evaluated: \(grouped(seen.evaluatedReports)).\n"
  }
}

extension Scenario {
  /// The number of devices with a fault.
  package func affected(by fault: Fault) -> Int { (0..<devices).count { fault.affects($0) } }

  /// Returns the promises about detection that the alarms break.
  package func brokenPromisesOfDetection(_ seen: Arrivals) -> [String] {
    Fault.all.flatMap { fault in
      let counts = seen.alarms[fault.behavior] ?? AlarmCounts()
      let ends = fault.time.upperBound < duration
      return [
        ("'\(fault.behavior)' finds each device that violates it once", counts.raised == affected(by: fault)),
        ("'\(fault.behavior)' finds no other", counts.mistaken == 0 && counts.invalidated == 0),
        ("alarms of '\(fault.behavior)' are cleared", counts.cleared == (ends ? counts.raised : 0)),
        ("'\(fault.behavior)' finds it within \(fault.patience)", counts.longestDelay <= fault.patience),
      ].filter { !$0.1 }.map { "\($0.0)" }
    }
  }
}
