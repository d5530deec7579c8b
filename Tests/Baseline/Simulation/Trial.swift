import Detection

/// The confidence levels, in the order of the table.
let levels = ["LOW", "MEDIUM", "HIGH"]

/// What was observed of devices of one kind.
struct Observed {
  var devices = 0
  /// The alarms without an attack, for each level.
  var falseAlarms: [String: Int] = [:]
  var attacks: [Attack: Int] = [:]
  /// For each attack and level, the number of attacks found in their first, second and third report.
  var found: [Attack: [String: [Int]]] = [:]

  mutating func add(_ other: Observed) {
    devices += other.devices
    falseAlarms.merge(other.falseAlarms, uniquingKeysWith: +)
    attacks.merge(other.attacks, uniquingKeysWith: +)
    found.merge(other.found) { $0.merging($1) { zip($0, $1).map(+) } }
  }

  /// The alarms of one device in 30 days.
  func falseAlarms(_ level: String) -> Double { Double(falseAlarms[level] ?? 0) / Double(max(1, devices)) }

  /// The share of `attacks` that are found within three reports.
  func share(_ attacks: [Attack], _ level: String) -> Double {
    let all = attacks.reduce(0) { $0 + (self.attacks[$1] ?? 0) }
    return Double(delays(attacks, level).reduce(0, +)) / Double(max(1, all))
  }

  /// How many attacks were found in their first, second and third report.
  func delays(_ attacks: [Attack], _ level: String) -> [Int] {
    attacks.reduce([0, 0, 0]) { sums, attack in zip(sums, found[attack]?[level] ?? [0, 0, 0]).map(+) }
  }
}

/// One device for 45 days: two weeks to learn, one day more, and 30 days with attacks at random times. Each attack is evaluated by a
/// copy of the evaluator, so that attacks don't influence the false alarms or one another.
struct Trial {
  private static let daysToLearn = 15
  private static let days = 45
  private static let attacksPerDevice = 8
  private static let start: UInt64 = 1_795_392_000
  private static let profile = ProfileValidation(of: Array(behaviors.utf8), name: "simulated").profile

  private static let behaviors: String = {
    let behaviors = levels.flatMap { level in
      DeviceMetric.allCases.prefix(7).map { metric in
        #"{"name":"\#(level):\#(metric.slot)","metric":"\#(metric.rawValue)","criteria":"#
          + #"{"mlDetectionConfig":{"confidenceLevel":"\#(level)"}}}"#
      }
    }
    return "[\(behaviors.joined(separator: ","))]"
  }()

  static func run(_ kind: DeviceKind, seed: UInt64) -> Observed {
    var device = SimulatedDevice(kind, seed: seed)
    let reports = device.reports(days: days)
    let present = reports.compactMap { $0?.bytesOut }
    let mean = present.reduce(0, +) / Double(max(1, present.count))
    var noise = Noise(seed: ~seed)
    let first = daysToLearn * SimulatedDevice.reportsPerDay
    let moments = Set((0..<attacksPerDevice).map { _ in noise.integer(first...reports.count - 20) })
    var evaluator = Evaluator([profile].compactMap { $0 })
    var observed = Observed()
    observed.devices = 1
    for (index, values) in reports.enumerated() {
      if moments.contains(index) {
        for attack in Attack.allCases {
          let strength = noise.integer(200...500)
          observed.count(
            attack,
            seen(evaluator, reports, index) {
              attack.change(&$0, number: $1, mean: mean, strength: strength)
            })
        }
      }
      guard let values else { continue }
      let events = evaluator.evaluate(observation(values, index, evaluator.table))
      guard index >= first else { continue }
      for event in events where event.type == .inAlarm { observed.falseAlarms[level(event), default: 0] += 1 }
    }
    return observed
  }

  /// Returns the number of the report, from 0, in which each level first raises an alarm.
  private static func seen(
    _ evaluator: Evaluator, _ reports: [Values?], _ index: Int, attack: (inout Values, Int) -> Void
  ) -> [String: Int] {
    var evaluator = evaluator
    var seen: [String: Int] = [:]
    var number = 0
    for later in index..<reports.count where number < 3 {
      guard var values = reports[later] else { continue }
      attack(&values, number)
      for event in evaluator.evaluate(observation(values, later, evaluator.table))
      where event.type == .inAlarm {
        seen[level(event)] = min(number, seen[level(event)] ?? number)
      }
      number += 1
    }
    return seen
  }

  private static func level(_ event: ViolationEvent) -> String {
    String(event.behavior.name.prefix { $0 != ":" })
  }

  private static func observation(_ values: Values, _ index: Int, _ table: MetricTable) -> Observation {
    let seconds = start + UInt64(index) * 300
    var observation = Observation(thing: "device", reportID: seconds, time: seconds * 1_000, table: table)
    observation.set(.bytesIn, .count(UInt64(values.bytesIn)))
    observation.set(.bytesOut, .count(UInt64(values.bytesOut)))
    observation.set(.packetsIn, .count(UInt64(values.packetsIn)))
    observation.set(.packetsOut, .count(UInt64(values.packetsOut)))
    observation.set(.listeningTCPPortCount, .count(UInt64(values.tcpPorts)))
    observation.set(.listeningUDPPortCount, .count(UInt64(values.udpPorts)))
    observation.set(.establishedConnectionCount, .count(UInt64(values.connections)))
    return observation
  }
}

extension Observed {
  fileprivate mutating func count(_ attack: Attack, _ seen: [String: Int]) {
    attacks[attack, default: 0] += 1
    for level in levels {
      var counts = found[attack]?[level] ?? [0, 0, 0]
      if let number = seen[level] { counts[number] += 1 }
      found[attack, default: [:]][level] = counts
    }
  }
}
