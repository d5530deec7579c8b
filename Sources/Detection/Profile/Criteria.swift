package import WireFormats

/// `comparisonOperator`: how a datapoint is compared with the value.
package enum ComparisonOperator: String, CaseIterable, Sendable {
  case lessThan = "less-than"
  case lessThanEquals = "less-than-equals"
  case greaterThan = "greater-than"
  case greaterThanEquals = "greater-than-equals"
  case inCIDRSet = "in-cidr-set"
  case notInCIDRSet = "not-in-cidr-set"
  case inPortSet = "in-port-set"
  case notInPortSet = "not-in-port-set"
  case inSet = "in-set"
  case notInSet = "not-in-set"

  /// Whether a number must be below or above a bound.
  var isOrder: Bool {
    switch self {
    case .lessThan, .lessThanEquals, .greaterThan, .greaterThanEquals: true
    default: false
    }
  }

  /// Whether the bound is an upper one, so that a sum that exceeds it can't recover.
  var isUpperBound: Bool { self == .lessThan || self == .lessThanEquals }

  /// Whether each element of a datapoint must be a member of the set. If false, none may be.
  package var requiresMembers: Bool { self == .inCIDRSet || self == .inPortSet || self == .inSet }

  /// Whether `value` conforms to the bound; false if this isn't an order operator.
  func holds<Number: Comparable>(_ value: Number, _ bound: Number) -> Bool {
    switch self {
    case .lessThan: value < bound
    case .lessThanEquals: value <= bound
    case .greaterThan: value > bound
    case .greaterThanEquals: value >= bound
    default: false
    }
  }
}

/// `value`: what a datapoint is compared with.
package enum CriteriaValue: Equatable, Sendable {
  case count(UInt64)
  case cidrs([CIDR])
  case ports([UInt16])
  case number(Double)
  case numbers([Double])
  case strings([String])

  var kind: ValueKind {
    switch self {
    case .count: .count
    case .cidrs: .cidrs
    case .ports: .ports
    case .number: .number
    case .numbers: .numbers
    case .strings: .strings
    }
  }
}

/// `criteria`: when a datapoint is normal.
package struct Criteria: Equatable, Sendable {
  /// What datapoints are compared with.
  package enum Threshold: Equatable, Sendable {
    case value(CriteriaValue)
    /// `statisticalThreshold.statistic`, such as `p90`: a percentile over all things.
    case statistical(String)
    /// `mlDetectionConfig.confidenceLevel`: LOW, MEDIUM or HIGH. It is evaluated by a ``LearnedBaseline``.
    case machineLearning(String)
  }

  /// The operator; nil for a learned baseline.
  package var comparisonOperator: ComparisonOperator?
  package var threshold: Threshold
  package var durationSeconds: UInt64?
  /// The number of consecutive violating datapoints that raise an alarm, as written in the profile; nil means 1.
  package var consecutiveDatapointsToAlarm: UInt64?
  /// The number of consecutive conforming datapoints that clear an alarm, as written in the profile; nil means 1.
  package var consecutiveDatapointsToClear: UInt64?
}

/// A behavior: what is normal for one metric.
package struct Behavior: Equatable, Sendable {
  package var name: String
  package var metric: Metric
  package var criteria: Criteria
  package var suppressAlerts: Bool?
  package var exportMetric: Bool?

  /// Whether datapoints are compared with a learned baseline.
  package var isLearned: Bool { if case .machineLearning = criteria.threshold { true } else { false } }

  /// Why the behavior isn't evaluated; nil if it is.
  package var reasonNotEvaluated: String? {
    switch criteria.threshold {
    case .value, .machineLearning: nil
    case .statistical: "a statistical threshold needs the reports of other things"
    }
  }
}

/// A security profile: the behaviors of a group of things.
package struct SecurityProfile: Equatable, Sendable {
  package var name: String
  package var behaviors: [Behavior]

  package init(name: String, behaviors: [Behavior]) {
    self.name = name
    self.behaviors = behaviors
  }

  /// Returns whether `text` is a valid name of a profile or a behavior.
  package static func isName(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        isLetterOrDigit(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "_")
          || byte == UInt8(ascii: "-")
      }
  }
}

extension Behavior {
  /// Writes the behavior as AWS's API does.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: 3 + (suppressAlerts == nil ? 0 : 1) + (exportMetric == nil ? 0 : 1))
    document.member("name", name)
    document.member("metric", metric.name)
    document.key("criteria")
    criteria.write(to: &document)
    if let suppressAlerts {
      document.key("suppressAlerts")
      document.boolean(suppressAlerts)
    }
    if let exportMetric {
      document.key("exportMetric")
      document.boolean(exportMetric)
    }
    document.endMap()
  }

  /// A number that identifies the metric and the criteria: behaviors with the same number evaluate the same.
  var fingerprint: UInt64 {
    var document = JSONWriter()
    criteria.write(to: &document)
    var hash = StableHash()
    hash.combine(metric.name)
    hash.combine(document.bytes)
    return hash.value
  }
}

extension Criteria {
  /// Writes the criteria as AWS's API does.
  func write(to document: inout some DocumentWriter & ~Copyable) {
    let numbers = [durationSeconds, consecutiveDatapointsToAlarm, consecutiveDatapointsToClear]
    document.beginMap(count: 1 + (comparisonOperator == nil ? 0 : 1) + numbers.count { $0 != nil })
    if let comparisonOperator { document.member("comparisonOperator", comparisonOperator.rawValue) }
    switch threshold {
    case .value(let value):
      document.key("value")
      value.write(to: &document)
    case .statistical(let statistic):
      document.key("statisticalThreshold")
      document.beginMap(count: 1)
      document.member("statistic", statistic)
      document.endMap()
    case .machineLearning(let level):
      document.key("mlDetectionConfig")
      document.beginMap(count: 1)
      document.member("confidenceLevel", level)
      document.endMap()
    }
    if let durationSeconds { document.member("durationSeconds", durationSeconds) }
    if let consecutiveDatapointsToAlarm {
      document.member("consecutiveDatapointsToAlarm", consecutiveDatapointsToAlarm)
    }
    if let consecutiveDatapointsToClear {
      document.member("consecutiveDatapointsToClear", consecutiveDatapointsToClear)
    }
    document.endMap()
  }
}

extension CriteriaValue {
  fileprivate func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: 1)
    document.key(kind.rawValue)
    switch self {
    case .count(let count): document.integer(count)
    case .number(let number): document.number(number)
    case .cidrs(let cidrs): document.list(cidrs) { $0.string("\($1)") }
    case .ports(let ports): document.list(ports) { $0.integer(UInt64($1)) }
    case .numbers(let numbers): document.list(numbers) { $0.number($1) }
    case .strings(let strings): document.list(strings) { $0.string($1) }
    }
    document.endMap()
  }
}

extension DocumentWriter where Self: ~Copyable {
  /// Writes a list, each element with `write`.
  package mutating func list<Element>(_ elements: [Element], _ write: (inout Self, Element) -> Void) {
    beginList(count: elements.count)
    for element in elements { write(&self, element) }
    endList()
  }
}
