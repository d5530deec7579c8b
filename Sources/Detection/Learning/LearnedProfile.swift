package import WireFormats

/// A learned security profile, and notes about it for the user.
package struct LearnedProfile: Sendable {
  package private(set) var profile: SecurityProfile
  /// `securityProfileDescription`.
  package let description: String
  /// What couldn't be learned, and why, as sentences.
  package private(set) var notes: [String] = []

  private let learner: Learner
  /// The part of a bound that is added to the largest value, in percent.
  private let margin: UInt64
  /// The number of elements of all values, each port, network, string or bound.
  private var elementCount = 0

  /// The largest number of behaviors of a profile.
  static let maximumBehaviors = 100
  /// AWS's quota of the elements of all values of a profile.
  static let maximumElements = 1_000

  /// Creates the profile; nil if no report was learned from.
  package init?(_ learner: Learner, name: String, margin: UInt64) {
    guard learner.reportCount > 0 else { return nil }
    self.learner = learner
    self.margin = margin
    profile = SecurityProfile(name: name, behaviors: [])
    description =
      "Learned from healthy devices. Reports: \(learner.reportCount). Things: \(learner.thingCount). Margin: \(margin) %."
    addTraffic()
    addCounts()
    addPorts(.listeningTCPPorts, learner.tcpPorts)
    addPorts(.listeningUDPPorts, learner.udpPorts)
    if let networks = learner.destinations {
      add("destinations", .device(.destinations), .inCIDRSet, networks.cidrs.map { .cidrs($0) })
    }
    for (name, metric) in learner.customMetrics.sorted(by: {
      $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
    }) {
      add(name, metric)
    }
    addNotes()
  }

  /// Writes the profile as the input of AWS's CreateSecurityProfile.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: 3)
    document.member("securityProfileName", profile.name)
    document.member("securityProfileDescription", description)
    document.key("behaviors")
    document.list(profile.behaviors) { $1.write(to: &$0) }
    document.endMap()
  }
}

// The behaviors.
extension LearnedProfile {
  /// Adds bounds for the traffic in windows of two durations. The short one finds bursts; the long one finds traffic that stays below
  /// the short one's bound, but continues.
  private mutating func addTraffic() {
    let metrics: [DeviceMetric] = [.bytesIn, .bytesOut, .packetsIn, .packetsOut]
    guard metrics.contains(where: { learner.traffic.largest($0, 300) != nil }) else {
      notes.append("No report has network_stats, so nothing is learned about traffic.")
      return
    }
    let short = learner.traffic.shortDuration
    for duration in short == 3_600 ? [short] : [short, 3_600] {
      // A shorter recording may not contain any window from its beginning to its end.
      guard learner.longestSpan >= 2 * duration else {
        notes.append(
          "No traffic bounds for windows of \(duration) s were learned: they need a recording of one thing of at least "
            + "\(2 * duration) s, but the longest is \(learner.longestSpan) s.")
        continue
      }
      for metric in metrics {
        guard let most = learner.traffic.largest(metric, duration) else { continue }
        addBound("\(Self.word(metric))-\(duration)s", metric, most, duration)
      }
    }
  }

  private mutating func addCounts() {
    let rows: [(DeviceMetric, UInt64?)] = [
      (.listeningTCPPortCount, learner.traffic.shortDuration),
      (.listeningUDPPortCount, learner.traffic.shortDuration), (.establishedConnectionCount, nil),
    ]
    for (metric, duration) in rows {
      guard let most = learner.largestCounts[metric] else { continue }
      addBound(Self.word(metric), metric, most, duration)
    }
  }

  /// The name of a metric without `aws:` and `all-`.
  private static func word(_ metric: DeviceMetric) -> String {
    let name = metric.rawValue.dropFirst("aws:".count)
    return String(name.hasPrefix("all-") ? name.dropFirst("all-".count) : name)
  }

  /// Adds an upper bound: the largest value and the margin.
  private mutating func addBound(_ name: String, _ metric: DeviceMetric, _ most: UInt64, _ duration: UInt64?)
  {
    let limit = UInt64(Int64.max)
    guard most <= limit else {
      notes.append(
        "No bound for \(metric.rawValue) was learned: its largest value, \(most), exceeds AWS's limit.")
      return
    }
    let product = most.multipliedFullWidth(by: margin)
    let slack = product.high < 100 ? UInt64(100).dividingFullWidth(product) : (quotient: limit, remainder: 0)
    let rounded = slack.remainder > 0 ? slack.quotient + 1 : slack.quotient
    let bound = rounded > limit - most ? limit : most + rounded
    add(name, .device(metric), .lessThanEquals, .count(bound), duration)
  }

  private mutating func addPorts(_ metric: DeviceMetric, _ learned: LearnedPorts) {
    guard learned.isPresent else { return }
    let ports = learned.ports
    let isUseful = ports.count <= LearnedMembers<UInt16>.limit
    add(Self.word(metric), .device(metric), .inPortSet, isUseful ? .ports(ports) : nil)
  }

  /// Adds the behaviors of a custom metric.
  private mutating func add(_ name: String, _ metric: LearnedCustomMetric) {
    let (least, most) = (metric.least, metric.most)
    switch metric.kind {
    case .number:
      // The margin is a percentage of the span of the values, or of the value itself if it never changed.
      let slack = (most > least ? most - least : abs(most)) * Double(margin) / 100
      add("custom:\(name):most", .custom(name), .lessThanEquals, Self.bound(most + slack))
      // A number that is never negative needs no bound at or below 0.
      guard least < 0 || least - slack > 0 else { break }
      add("custom:\(name):least", .custom(name), .greaterThanEquals, Self.bound(least - slack))
    case .numbers:
      add("custom:\(name)", .custom(name), .inSet, metric.numbers.members.map { .numbers($0.sorted()) })
    case .strings:
      add(
        "custom:\(name)", .custom(name), .inSet,
        metric.strings.members.map { .strings($0.sorted().map(\.text)) })
    case .cidrs:
      add("custom:\(name)", .custom(name), .inCIDRSet, metric.networks?.cidrs.map { .cidrs($0) })
    case .count, .ports: break
    }
  }

  private static func bound(_ number: Double) -> CriteriaValue? { number.isFinite ? .number(number) : nil }

  /// Adds a behavior. If `value` is nil or the profile is full, adds a note instead.
  private mutating func add(
    _ name: String, _ metric: Metric, _ comparison: ComparisonOperator, _ value: CriteriaValue?,
    _ duration: UInt64? = nil
  ) {
    guard let value else {
      let reason =
        comparison.isOrder
        ? "the bound is beyond the range of a double"
        : "there are more than \(LearnedMembers<UInt16>.limit) values, or the addresses are too scattered"
      notes.append("No behavior '\(name)' was learned: \(reason).")
      return
    }
    guard profile.behaviors.count < Self.maximumBehaviors,
      elementCount + value.elementCount <= Self.maximumElements
    else {
      notes.append(
        "The behavior '\(name)' was left out: AWS allows at most \(Self.maximumBehaviors) behaviors and \(Self.maximumElements) "
          + "values in a profile.")
      return
    }
    elementCount += value.elementCount
    profile.behaviors.append(
      Behavior(
        name: unique(name), metric: metric,
        criteria: Criteria(
          comparisonOperator: comparison, threshold: .value(value), durationSeconds: duration),
        suppressAlerts: nil, exportMetric: nil))
  }

  /// Returns a name of at most 128 characters that no other behavior has.
  private func unique(_ name: String) -> String {
    let names = Set(profile.behaviors.map(\.name))
    var result = String(name.prefix(128))
    var number = 2
    while names.contains(result) {
      result = "\(name.prefix(120)):\(number)"
      number += 1
    }
    return result
  }

  private mutating func addNotes() {
    if profile.behaviors.isEmpty {
      notes.append(
        "The profile has no behaviors, so it never raises an alarm: the reports have no metric that can be learned."
      )
    }
    if learner.sampledReports > 0 {
      notes.append(
        "Reports with incomplete lists: \(learner.sampledReports). The learned sets may lack members that devices use. "
          + "Raise DEFENDER_MAX_LIST_SIZE while you record.")
    }
    if learner.ignoredCustomValues > 0 {
      notes.append(
        "Values of custom metrics that were not learned: \(learner.ignoredCustomValues). At most "
          + "\(Learner.maximumCustomMetrics) custom metrics are learned, and a name needs 1 to 128 letters, digits, ':', '_' and '-'."
      )
    }
    if learner.longestSpan < 86_400 {
      notes.append(
        "The longest recording of a thing is \(learner.longestSpan) s. Record at least a day; otherwise what a device does once a "
          + "day raises an alarm.")
    }
  }
}

extension CriteriaValue {
  /// The number of elements that AWS counts.
  fileprivate var elementCount: Int {
    switch self {
    case .count, .number: 1
    case .cidrs(let list): list.count
    case .ports(let list): list.count
    case .numbers(let list): list.count
    case .strings(let list): list.count
    }
  }
}
