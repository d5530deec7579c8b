@testable import Detection
import DeviceDefender
import Testing
import WireFormats

/// Compares the evaluator with the naive one over random profiles and reports.
struct PropertyTests {
  @Test(arguments: 0..<40)
  func `finds the events of the naive evaluator, however the input is cut`(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed) &* 7_919 &+ 1)
    for _ in 0..<10 {
      let profiles = [Self.profile("first", &random), Self.profile("second", &random)]
      let reports = Self.reports(&random)
      let expected = NaiveEvaluator(profiles: profiles).events(reports)
      var whole = Evaluator(profiles)
      let observations = reports.map { Self.observation($0, whole.table) }
      #expect(observations.flatMap { whole.evaluate($0) }.map(summary) == expected)

      // Saved and loaded at random points, in both formats.
      var cut = Evaluator(profiles)
      var found: [String] = []
      for observation in observations {
        found += cut.evaluate(observation).map(summary)
        guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
        let state =
          Bool.random(using: &random)
          ? try DetectionState(parsingJSON: cut.state.json) : try DetectionState(parsingCBOR: cut.state.cbor)
        cut = Evaluator(profiles, state: state)
      }
      #expect(found == expected && cut.state == whole.state)
    }
  }

  private static let names = ["a", "b", "c", "\u{E9}", "e\u{301}"]
  private static let networks = [
    "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/31", "0.0.0.0/0", "fd00::/8", "::/0", "fd00::2/127",
    "::ffff:10.2.0.0/112",
  ]
  private static let addresses = [
    "10.1.2.3", "10.1.2.1", "10.2.0.9", "9.9.9.9", "fd00::1", "fd00::3", "2001:db8::1", "::ffff:10.1.0.0",
  ]

  private static func some<Element>(_ elements: [Element], _ random: inout SeededGenerator) -> [Element] {
    (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in elements.randomElement(using: &random) }
  }

  private static func profile(_ name: String, _ random: inout SeededGenerator) -> SecurityProfile {
    let behaviors = (0..<Int.random(in: 1...6, using: &random)).map { index in
      behavior("\(name)-\(index)", &random)
    }
    return SecurityProfile(name: name, behaviors: behaviors)
  }

  private static func behavior(_ name: String, _ random: inout SeededGenerator) -> Behavior {
    let orders: [ComparisonOperator] = [.lessThan, .lessThanEquals, .greaterThan, .greaterThanEquals]
    var criteria = Criteria(
      comparisonOperator: orders.randomElement(using: &random), threshold: .value(.count(0)))
    criteria.consecutiveDatapointsToAlarm = [nil, 1, 2, 3].randomElement(using: &random) ?? nil
    criteria.consecutiveDatapointsToClear = [nil, 1, 2, 3].randomElement(using: &random) ?? nil
    let durations: [UInt64?] = [nil, 300, 600]
    let isIn = Bool.random(using: &random)
    let metric: Metric
    switch Int.random(in: 0..<7, using: &random) {
    case 0:
      metric = .device(.bytesOut)
      criteria.durationSeconds = Bool.random(using: &random) ? 300 : 600
      criteria.threshold = .value(.count(.random(in: 0...9, using: &random)))
    case 1:
      metric = .device(.establishedConnectionCount)
      criteria.durationSeconds = durations.randomElement(using: &random) ?? nil
      criteria.threshold = .value(.count(.random(in: 0...5, using: &random)))
    case 2:
      metric = .custom("number")
      criteria.durationSeconds = durations.randomElement(using: &random) ?? nil
      criteria.threshold = .value(.number(Double(Int.random(in: -3...3, using: &random))))
    case 3:
      metric = .device(.listeningTCPPorts)
      criteria.comparisonOperator = isIn ? .inPortSet : .notInPortSet
      criteria.threshold = .value(.ports(some([0, 22, 23, 443, 65_535], &random)))
    case 4:
      metric = Bool.random(using: &random) ? .device(.destinations) : .custom("addresses")
      criteria.comparisonOperator = isIn ? .inCIDRSet : .notInCIDRSet
      criteria.threshold = .value(.cidrs(some(networks, &random).compactMap { try? CIDR(parsing: $0) }))
    case 5:
      metric = .custom("numbers")
      criteria.comparisonOperator = isIn ? .inSet : .notInSet
      criteria.threshold = .value(.numbers(some([-1, 0, 0.5, 2], &random)))
    default:
      metric = .custom("strings")
      criteria.comparisonOperator = isIn ? .inSet : .notInSet
      criteria.threshold = .value(.strings(some(names, &random)))
    }
    return Behavior(name: name, metric: metric, criteria: criteria, suppressAlerts: nil, exportMetric: nil)
  }

  private static func reports(_ random: inout SeededGenerator) -> [NaiveReport] {
    var id: UInt64 = 1_000_000
    return (0..<Int.random(in: 5...60, using: &random)).map { _ in
      let steps: [UInt64] = [0, 1, 100, 299, 300, 301, 700, 172_800, 172_801]
      id += steps.randomElement(using: &random) ?? 1
      // The clock is wrong at times: by less than a window, by two, or by days.
      let shifts: [Int64] = [-200_000, -700, -301, -299, 299, 301, 700, 200_000]
      let shift = Int.random(in: 0..<6, using: &random) == 0 ? shifts.randomElement(using: &random) ?? 0 : 0
      let second = UInt64(clamping: Int64(clamping: id) + shift)
      var report = NaiveReport(id: id, time: second * 1_000 + .random(in: 0..<1_000, using: &random))
      func has() -> Bool { Int.random(in: 0..<3, using: &random) > 0 }
      if has() { report.values["aws:all-bytes-out"] = .count(.random(in: 0...6, using: &random)) }
      if has() {
        report.values["aws:num-established-tcp-connections"] = .count(.random(in: 0...6, using: &random))
      }
      if has() { report.values["number"] = .number(Double(Int.random(in: -8...8, using: &random)) / 2) }
      if has() { report.values["aws:listening-tcp-ports"] = .ports(some([0, 1, 22, 23, 65_535], &random)) }
      for name in ["aws:destination-ip-addresses", "addresses"] where has() {
        report.values[name] = .addresses(
          some(addresses, &random).compactMap { IPAddress(parsing: $0)?.unmapped })
      }
      if has() { report.values["numbers"] = .numbers(some([-1, 0, 0.5, 2, 3], &random)) }
      if has() { report.values["strings"] = .strings(some(names + ["z"], &random)) }
      return report
    }
  }

  private static func observation(_ report: NaiveReport, _ table: MetricTable) -> Observation {
    var observation = Observation(thing: "thing", reportID: report.id, time: report.time, table: table)
    for (name, value) in report.values {
      let slot = DeviceMetric(rawValue: name)?.slot ?? table.slot(ofCustom: name)
      guard let slot else { continue }
      observation.datapoints[slot] =
        switch value {
        case .count(let count): .count(count)
        case .number(let number): .number(number)
        case .ports(let ports): .ports(ports)
        case .numbers(let numbers): .numbers(numbers)
        case .strings(let strings): .strings(strings)
        case .addresses(let addresses):
          .addresses(addresses.reduce(into: AddressList()) { $0.append($1) })
        }
    }
    return observation
  }

  @Test func `a partition finds the sets of every element`() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      let sets = (0..<Int.random(in: 0...70, using: &random)).map { _ in
        (0..<Int.random(in: 0...4, using: &random)).map { _ -> ClosedRange<UInt8> in
          let (first, last) = (
            UInt8.random(in: 0...255, using: &random), UInt8.random(in: 0...255, using: &random)
          )
          return min(first, last)...max(first, last)
        }
      }
      let partition = Partition(sets)
      let isRight = (0...UInt8.max).allSatisfy { element in
        sets.indices.allSatisfy { index in
          partition.contains(element, set: index) == sets[index].contains { $0.contains(element) }
        }
      }
      #expect(isRight)
    }
  }
}
