import Detection
import DeviceDefender

/// A second implementation of the semantics for comparison: it keeps the whole history, looks at each behavior by itself, and
/// scans each set element by element.
struct NaiveEvaluator {
  /// A datapoint that counts.
  private struct Decision {
    /// The report that decided it.
    let report: Int
    let isViolation: Bool
    /// The value for an event.
    let value: String
    /// Whether the report ended a window.
    var isOfClosedWindow = false
  }

  let profiles: [SecurityProfile]

  /// Returns the events of `reports`, all of one thing, in the form of ``summary(_:)``.
  func events(_ reports: [NaiveReport]) -> [String] {
    var accepted: [NaiveReport] = []
    for report in reports where report.id > (accepted.last?.id ?? 0) { accepted.append(report) }
    var found: [(report: Int, behavior: Int, order: Int, text: String)] = []
    var number = 0
    for behavior in profiles.flatMap(\.behaviors) {
      for (report, text) in events(behavior, accepted) { found.append((report, number, found.count, text)) }
      number += 1
    }
    return found.sorted { ($0.report, $0.behavior, $0.order) < ($1.report, $1.behavior, $1.order) }.map(
      \.text)
  }

  private func events(_ behavior: Behavior, _ reports: [NaiveReport]) -> [(Int, String)] {
    let decisions = decisions(behavior, reports)
    var history: [Bool] = []
    var isAlarm = false
    var lastMetric: UInt64 = 0
    var result: [(Int, String)] = []
    for (index, report) in reports.enumerated() {
      let seconds = report.time / 1_000
      let has = value(behavior, report) != nil
      let own = decisions.filter { $0.report == index }
      // The first decision of a report with windows may come from the window that it closes.
      let closing = behavior.criteria.durationSeconds == nil ? 0 : own.count { $0.isOfClosedWindow }
      func count(_ decision: Decision) {
        history.append(decision.isViolation)
        let needed = Int(
          (decision.isViolation
            ? behavior.criteria.consecutiveDatapointsToAlarm : behavior.criteria.consecutiveDatapointsToClear)
            ?? 1)
        let run = history.suffix(needed)
        guard run.count == needed, run.allSatisfy({ $0 == decision.isViolation }),
          isAlarm != decision.isViolation
        else { return }
        isAlarm = decision.isViolation
        result.append(
          (index, "\(seconds) \(isAlarm ? "in-alarm" : "alarm-cleared") \(behavior.name) \(decision.value)"))
      }
      for decision in own.prefix(closing) { count(decision) }
      if isAlarm, report.time > lastMetric, report.time - lastMetric > 172_800_000 {
        isAlarm = false
        history = []
        result.append((index, "\(seconds) alarm-invalidated \(behavior.name) "))
      }
      for decision in own.dropFirst(closing) { count(decision) }
      if has { lastMetric = max(lastMetric, report.time) }
    }
    return result
  }

  private func decisions(
    _ behavior: Behavior, _ reports: [NaiveReport]
  ) -> [Decision] {
    guard let seconds = behavior.criteria.durationSeconds else {
      return reports.enumerated().compactMap { index, report in
        value(behavior, report).map {
          Decision(report: index, isViolation: !conforms($0, behavior), value: offenders($0, behavior))
        }
      }
    }
    var result: [Decision] = []
    func window(_ index: Int) -> UInt64 { reports[index].time / (seconds * 1_000) }
    for (members, limit) in windows(behavior, reports, seconds) {
      let first = members[0]
      let isSum = behavior.metric.name.hasPrefix("aws:all-")
      var sum: UInt64 = 0
      var early: Int?
      var last = NaiveValue.number(0)
      for member in members {
        guard let value = value(behavior, reports[member]) else { continue }
        last = value
        guard isSum, case .count(let count) = value else { continue }
        sum += count
        last = .count(sum)
        let name = behavior.criteria.comparisonOperator?.rawValue ?? ""
        if early == nil, name.hasPrefix("less-than"), !conforms(last, behavior) {
          early = member
          result.append(Decision(report: member, isViolation: true, value: offenders(last, behavior)))
        }
      }
      guard early == nil else { continue }
      guard let closing = (first..<limit).first(where: { window($0) > window(first) }) else { continue }
      result.append(
        Decision(
          report: closing, isViolation: !conforms(last, behavior), value: offenders(last, behavior),
          isOfClosedWindow: true))
    }
    return result.sorted {
      ($0.report, $0.isOfClosedWindow ? 0 : 1) < ($1.report, $1.isOfClosedWindow ? 0 : 1)
    }
  }

  /// Returns the reports with the metric of each window, in the order of the reports, and the report at which the window is dropped
  /// because the clock was set back; the number of reports if it isn't.
  private func windows(
    _ behavior: Behavior, _ reports: [NaiveReport], _ seconds: UInt64
  ) -> [(members: [Int], limit: Int)] {
    var result: [(members: [Int], limit: Int)] = []
    func window(_ index: Int) -> UInt64 { reports[index].time / (seconds * 1_000) }
    for index in reports.indices where value(behavior, reports[index]) != nil {
      guard let first = result.last?.members.first else {
        result.append(([index], reports.count))
        continue
      }
      if window(index) + 1 < window(first) { result[result.count - 1].limit = index }
      if window(index) + 1 < window(first) || window(index) > window(first) {
        result.append(([index], reports.count))
      } else if window(index) == window(first),
        !(first..<index).contains(where: { window($0) > window(first) })
      {
        result[result.count - 1].members.append(index)
      }
    }
    return result
  }

  private func value(_ behavior: Behavior, _ report: NaiveReport) -> NaiveValue? {
    guard let value = report.values[behavior.metric.name] else { return nil }
    guard case .value(let bound) = behavior.criteria.threshold else { return nil }
    switch (bound, value) {
    case (.count, .count), (.number, .number), (.ports, .ports), (.cidrs, .addresses), (.numbers, .numbers),
      (.strings, .strings):
      return value
    default: return nil
    }
  }

  private func conforms(_ value: NaiveValue, _ behavior: Behavior) -> Bool {
    switch value {
    case .count(let count): compare(Double(count), behavior)
    case .number(let number): compare(number, behavior)
    default: bad(value, behavior).isEmpty
    }
  }

  private func compare(_ value: Double, _ behavior: Behavior) -> Bool {
    let bound: Double =
      switch behavior.criteria.threshold {
      case .value(.count(let count)): Double(count)
      case .value(.number(let number)): number
      default: .nan
      }
    return switch behavior.criteria.comparisonOperator?.rawValue {
    case "less-than": value < bound
    case "less-than-equals": value <= bound
    case "greater-than": value > bound
    default: value >= bound
    }
  }

  /// The positions of the elements that violate a set.
  private func bad(_ value: NaiveValue, _ behavior: Behavior) -> [Int] {
    let wanted = behavior.criteria.comparisonOperator?.rawValue.hasPrefix("in-") == true
    guard case .value(let set) = behavior.criteria.threshold else { return [] }
    func isMember(_ position: Int) -> Bool {
      switch (value, set) {
      case (.ports(let ports), .ports(let set)): set.contains(ports[position])
      case (.numbers(let numbers), .numbers(let set)): set.contains(numbers[position])
      case (.strings(let strings), .strings(let set)):
        set.contains { Array($0.utf8) == Array(strings[position].utf8) }
      case (.addresses(let addresses), .cidrs(let set)):
        set.contains { matches(addresses[position], $0) }
      default: false
      }
    }
    return (0..<value.count).filter { isMember($0) != wanted }
  }

  private func matches(_ address: IPAddress, _ network: CIDR) -> Bool {
    address.family == network.network.family
      && bits("\(address)").prefix(network.prefixLength)
        == bits("\(network.network)").prefix(network.prefixLength)
  }

  /// The bits of an address, one by one.
  private func bits(_ text: String) -> [Bool] {
    guard let address = IPAddress(parsing: text) else { return [] }
    if address.family == .v4 { return (0..<32).map { address.low >> UInt64(31 - $0) & 1 == 1 } }
    return (0..<128).map { (index: UInt64) -> Bool in
      let half: UInt64 = index < 64 ? address.high : address.low
      return half >> (63 - index % 64) & 1 == 1
    }
  }

  private func offenders(_ value: NaiveValue, _ behavior: Behavior) -> String {
    let positions = bad(value, behavior)
    let all = positions.isEmpty ? Array(0..<value.count) : positions
    switch value {
    case .count(let count): return #"{"count":\#(count)}"#
    case .number(let number): return #"{"number":\#(number)}"#
    case .ports(let ports): return list("ports", all.map { ports[$0] }) { "\($0)" }
    case .numbers(let numbers): return list("numbers", all.map { numbers[$0] }) { "\($0)" }
    case .strings(let strings):
      // Strings are compared by their bytes.
      let bytes = Set(all.map { Array(strings[$0].utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
      let texts = bytes.prefix(50).map { "\"\(String(decoding: $0, as: UTF8.self))\"" }
      return #"{"strings":[\#(texts.joined(separator: ","))]}"#
    case .addresses(let addresses): return list("cidrs", all.map { addresses[$0] }) { "\"\($0)\"" }
    }
  }

  private func list<Element: Comparable>(_ name: String, _ elements: [Element], _ text: (Element) -> String)
    -> String
  {
    var ascending: [Element] = []
    for element in elements.sorted() where ascending.last != element { ascending.append(element) }
    return #"{"\#(name)":[\#(ascending.prefix(50).map(text).joined(separator: ","))]}"#
  }
}

/// A report of the naive evaluator.
struct NaiveReport {
  var id: UInt64
  var time: UInt64
  var values: [String: NaiveValue] = [:]
}

enum NaiveValue {
  case count(UInt64)
  case number(Double)
  case ports([UInt16])
  case addresses([IPAddress])
  case numbers([Double])
  case strings([String])

  var count: Int {
    switch self {
    case .count, .number: 0
    case .ports(let list): list.count
    case .addresses(let list): list.count
    case .numbers(let list): list.count
    case .strings(let list): list.count
    }
  }
}
