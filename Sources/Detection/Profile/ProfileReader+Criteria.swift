import DeviceDefender
import WireFormats

extension ProfileReader {
  private static let criteriaKeys = [
    "comparisonOperator", "value", "durationSeconds", "consecutiveDatapointsToAlarm",
    "consecutiveDatapointsToClear", "statisticalThreshold", "mlDetectionConfig",
  ]
  private static let durations: [UInt64] = [300, 600, 900, 1_800, 3_600]
  private static let statistics = [
    "p0", "p0.1", "p0.01", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100",
  ]

  mutating func criteria(_ place: Member, of metric: Metric) -> Criteria? {
    guard let members = object(place, allowed: Self.criteriaKeys) else { return nil }
    let comparison = members["comparisonOperator"].flatMap { self.comparison($0, metric) }
    let duration = members["durationSeconds"].flatMap { self.duration($0) }
    let toAlarm = members["consecutiveDatapointsToAlarm"].flatMap { integer($0, in: 1...10) }
    let toClear = members["consecutiveDatapointsToClear"].flatMap { integer($0, in: 1...10) }
    let thresholds = ["value", "statisticalThreshold", "mlDetectionConfig"].compactMap { members[$0] }
    guard thresholds.count == 1 else {
      note(
        place,
        "There are \(thresholds.count) of 'value', 'statisticalThreshold' and 'mlDetectionConfig'; exactly one is "
          + "needed.")
      return nil
    }
    let isLearned = members["mlDetectionConfig"] != nil
    if isLearned, let unwanted = members["comparisonOperator"] {
      note(unwanted, "A behavior with 'mlDetectionConfig' has no 'comparisonOperator'.")
    }
    if !isLearned, members["comparisonOperator"] == nil { note(place, "'comparisonOperator' is missing.") }
    checkDuration(members, place, metric)
    guard isLearned || comparison != nil else { return nil }
    guard let threshold = threshold(members, metric, comparison) else { return nil }
    warn(about: threshold, comparison, thresholds[0])
    return Criteria(
      comparisonOperator: isLearned ? nil : comparison, threshold: threshold, durationSeconds: duration,
      consecutiveDatapointsToAlarm: toAlarm, consecutiveDatapointsToClear: toClear)
  }

  /// Returns the operator, if it applies to the metric.
  private mutating func comparison(_ member: Member, _ metric: Metric) -> ComparisonOperator? {
    guard let text = string(member) else { return nil }
    guard let comparison = ComparisonOperator(rawValue: text) else {
      let known = ComparisonOperator.allCases.map(\.rawValue).joined(separator: ", ")
      note(member, "'\(text)' is an unknown operator. Expected one of \(known).")
      return nil
    }
    let allowed = ComparisonOperator.allCases.filter { Self.applies($0, to: metric) }
    guard allowed.contains(comparison) else {
      let names = allowed.map(\.rawValue).joined(separator: ", ")
      note(member, "'\(text)' doesn't apply to \(metric.name). Expected one of \(names).")
      return nil
    }
    return comparison
  }

  private static func applies(_ comparison: ComparisonOperator, to metric: Metric) -> Bool {
    switch (metric, comparison) {
    case (.custom, .inPortSet), (.custom, .notInPortSet): false
    case (.custom, _): true
    case (.device(let metric), _):
      switch metric.valueKind {
      case .ports: comparison == .inPortSet || comparison == .notInPortSet
      case .cidrs: comparison == .inCIDRSet || comparison == .notInCIDRSet
      default: comparison.isOrder
      }
    }
  }

  private mutating func duration(_ member: Member) -> UInt64? {
    guard let seconds = integer(member, in: 0...UInt64(Int32.max)) else { return nil }
    if Self.durations.contains(seconds) { return seconds }
    note(member, "This is \(seconds); expected 300, 600, 900, 1800 or 3600.")
    return nil
  }

  private mutating func checkDuration(_ members: [String: Member], _ place: Member, _ metric: Metric) {
    let given = members["durationSeconds"]
    let isOfSet =
      members["comparisonOperator"].map {
        if case .string(let text) = $0.node.content {
          return ComparisonOperator(rawValue: text)?.isOrder == false
        }
        return false
      } ?? false
    let needed: Bool? =
      switch metric {
      case .device(let metric): metric.needsDuration
      case .custom: isOfSet ? false : nil
      }
    if let given, needed == false {
      note(given, "\(metric.name) is evaluated report by report and has no 'durationSeconds'. Remove it.")
    }
    let isStatistical = members["statisticalThreshold"] != nil
    if given == nil, needed == true || isStatistical, members["mlDetectionConfig"] == nil {
      note(place, "'durationSeconds' is missing. Expected one of 300, 600, 900, 1800 or 3600.")
    }
  }

  private mutating func threshold(
    _ members: [String: Member], _ metric: Metric, _ comparison: ComparisonOperator?
  ) -> Criteria.Threshold? {
    if let member = members["value"] {
      guard let comparison else { return nil }
      return value(member, metric, comparison).map { .value($0) }
    }
    if case .device(let device) = metric, device.valueKind != .count {
      note(
        members["statisticalThreshold"] ?? members["mlDetectionConfig"], needing: "a list; only numbers",
        metric)
      return nil
    }
    if let member = members["statisticalThreshold"] {
      if comparison?.isOrder == false {
        note(member, "A statistical threshold needs an order operator, such as less-than-equals.")
      }
      return word(member, key: "statistic", Self.statistics).map { .statistical($0) }
    }
    guard let member = members["mlDetectionConfig"] else { return nil }
    return word(member, key: "confidenceLevel", Confidence.allCases.map(\.rawValue)).map {
      .machineLearning($0)
    }
  }

  private mutating func note(_ member: Member?, needing what: String, _ metric: Metric) {
    guard let member else { return }
    note(
      member, "\(metric.name) is \(what) have 'statisticalThreshold' or 'mlDetectionConfig'.",
      isWarning: false)
  }

  /// Returns the value of the only member of an object, one of `allowed`.
  private mutating func word(_ member: Member, key: String, _ allowed: [String]) -> String? {
    guard let members = object(member, allowed: [key]),
      let place = required(key, of: members, in: member), let text = string(place)
    else { return nil }
    if allowed.contains(text) { return text }
    note(place, "'\(text)' is unknown. Expected one of \(allowed.joined(separator: ", ")).")
    return nil
  }

  private mutating func value(
    _ member: Member, _ metric: Metric, _ comparison: ComparisonOperator
  ) -> CriteriaValue? {
    guard let members = object(member, allowed: ValueKind.allCases.map(\.rawValue)) else { return nil }
    let expected = Self.kinds(metric, comparison)
    let names = expected.map { "'\($0.rawValue)'" }.joined(separator: " or ")
    let given = ValueKind.allCases.filter { members[$0.rawValue] != nil }
    guard given.count == 1, let kind = given.first, let place = members[kind.rawValue] else {
      note(member, "There are \(given.count) values; \(comparison.rawValue) needs one, \(names).")
      return nil
    }
    guard expected.contains(kind) else {
      note(
        place, "\(metric.name) with \(comparison.rawValue) is compared with \(names), not '\(kind.rawValue)'."
      )
      return nil
    }
    let former = issues.count
    let value = value(kind, place)
    return issues.count == former ? value : nil
  }

  private static func kinds(_ metric: Metric, _ comparison: ComparisonOperator) -> [ValueKind] {
    if case .device(let device) = metric { return [device.valueKind] }
    switch comparison {
    case .inCIDRSet, .notInCIDRSet: return [.cidrs]
    case .inSet, .notInSet: return [.numbers, .strings]
    default: return [.number]
    }
  }

  private mutating func value(_ kind: ValueKind, _ place: Member) -> CriteriaValue? {
    switch kind {
    case .count: return integer(place, in: 0...UInt64(Int64.max)).map { .count($0) }
    case .number: return double(place).map { .number($0) }
    case .ports:
      return .ports(elements(place).compactMap { integer($0, in: 0...65_535).flatMap(UInt16.init(exactly:)) })
    case .cidrs: return .cidrs(elements(place).compactMap { cidr($0) })
    case .numbers: return .numbers(elements(place).compactMap { double($0) })
    case .strings: return .strings(elements(place).compactMap { string($0) })
    }
  }

  private mutating func cidr(_ member: Member) -> CIDR? {
    guard let text = string(member) else { return nil }
    do throws(CIDR.Mistake) {
      return try CIDR(parsing: text)
    } catch {
      let reason =
        switch error {
        case .syntax: "isn't a valid network. Write one as 10.0.0.0/8 or fd00::/8."
        case .noPrefixLength(let address):
          "has no prefix length. Write a single address as \(address)/\(address.family == .v4 ? 32 : 128)."
        case .prefixLength(let maximum): "has a prefix length beyond \(maximum)."
        case .hostBits(let network): "has bits set after its prefix. The network is \(network)."
        }
      note(member, "'\(text)' \(reason)")
      return nil
    }
  }

  /// Warns of a bound that no datapoint or every datapoint satisfies.
  private mutating func warn(
    about threshold: Criteria.Threshold, _ comparison: ComparisonOperator?, _ place: Member
  ) {
    guard case .value(.count(0)) = threshold else { return }
    if comparison == .lessThan {
      note(place, "No count is less than 0, so every datapoint is a violation.", isWarning: true)
    } else if comparison == .greaterThanEquals {
      note(place, "Every count is at least 0, so no datapoint is a violation.", isWarning: true)
    }
  }
}
