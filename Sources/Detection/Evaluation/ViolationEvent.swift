package import DeviceDefender
package import WireFormats

/// `metricValue` of an event: a number, or at most 50 elements of a list, ascending and without duplicates.
package enum MetricValue: Equatable, Sendable {
  case count(UInt64)
  case number(Double)
  case ports([UInt16])
  case cidrs([IPAddress])
  case numbers([Double])
  case strings([String])

  /// The largest number of elements.
  static let maximumElements = 50
  /// The largest count of an event: AWS's model has a signed 64-bit integer.
  private static let largestCount = UInt64(Int64.max)

  init(_ datapoint: Datapoint) {
    switch datapoint {
    case .count(let count): self = .count(min(count, Self.largestCount))
    case .number(let number): self = .number(number)
    case .ports(let ports): self = .ports(Self.first(ports))
    case .numbers(let numbers): self = .numbers(Self.first(numbers))
    case .strings(let strings):
      self = .strings(Self.first(strings.map(ExactString.init)).map(\.text))
    case .addresses(let list):
      let v4 = Self.first(list.v4).map { IPAddress(v4: $0) }
      let v6 = Self.first(list.v6).map { IPAddress(v6Number: $0) }
      self = .cidrs(Array((v4 + v6).prefix(Self.maximumElements)))
    }
  }

  private static func first<Element: Comparable & Hashable>(_ elements: [Element]) -> [Element] {
    Array(Set(elements).sorted().prefix(maximumElements))
  }

  /// The value as compact text, such as `8080, 8081`.
  package var summary: String {
    switch self {
    case .count(let count): String(count)
    case .number(let number): "\(number)"
    case .ports(let ports): Self.text(ports)
    case .cidrs(let addresses): Self.text(addresses)
    case .numbers(let numbers): Self.text(numbers)
    case .strings(let strings): Self.text(strings)
    }
  }

  private static func text<Element>(_ elements: [Element]) -> String {
    elements.isEmpty ? "none" : elements.map { "\($0)" }.joined(separator: ", ")
  }

  /// Writes the value as AWS's API does.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: 1)
    switch self {
    case .count(let count): document.member("count", count)
    case .number(let number):
      document.key("number")
      document.number(number)
    case .ports(let ports):
      document.key("ports")
      document.list(ports) { $0.integer(UInt64($1)) }
    case .cidrs(let addresses):
      document.key("cidrs")
      document.list(addresses) { $0.string("\($1)") }
    case .numbers(let numbers):
      document.key("numbers")
      document.list(numbers) { $0.number($1) }
    case .strings(let strings):
      document.key("strings")
      document.list(strings) { $0.string($1) }
    }
    document.endMap()
  }
}

/// A violation during an alarm: what AWS calls the last violation.
package struct OngoingViolation: Equatable, Sendable {
  /// The id of the violation that the alarm has.
  package let id: String
  package let value: MetricValue
  /// The time in seconds since the epoch.
  package let time: UInt64
}

/// An alarm that was raised, cleared or invalidated, in the shape of AWS's `ViolationEvent`.
package struct ViolationEvent: Equatable, Sendable {
  package enum EventType: String, Sendable {
    case inAlarm = "in-alarm"
    case alarmCleared = "alarm-cleared"
    case alarmInvalidated = "alarm-invalidated"
  }

  /// The violation's id, the same from `in-alarm` to the end of the alarm.
  package let id: String
  package let thing: String
  package let profile: String
  package let behavior: EventBehavior
  /// Nil for an invalidated alarm, which no datapoint decided.
  package let metricValue: MetricValue?
  package let type: EventType
  /// The time in seconds since the epoch.
  package let time: UInt64

  package init(
    id: String, thing: String, profile: String, behavior: EventBehavior, metricValue: MetricValue?,
    type: EventType, time: UInt64
  ) {
    self.id = id
    self.thing = thing
    self.profile = profile
    self.behavior = behavior
    self.metricValue = metricValue
    self.type = type
    self.time = time
  }

  /// Writes the event as `list-violation-events` does, with the time in seconds.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    let confidence = behavior.confidenceLevel
    document.beginMap(count: 6 + (metricValue == nil ? 0 : 1) + (confidence == nil ? 0 : 1))
    document.member("violationId", id)
    document.member("thingName", thing)
    document.member("securityProfileName", profile)
    document.key("behavior")
    behavior.write(to: &document)
    if let metricValue {
      document.key("metricValue")
      metricValue.write(to: &document)
    }
    if let confidence {
      document.key("violationEventAdditionalInfo")
      document.beginMap(count: 1)
      document.member("confidenceLevel", confidence)
      document.endMap()
    }
    document.member("violationEventType", type.rawValue)
    document.member("violationEventTime", time)
    document.endMap()
  }

  /// Returns the event as JSON, without a line end. Omits the behavior's criteria if the JSON would exceed `limit` bytes.
  package func json(atMost limit: Int) -> [UInt8] {
    let whole = json
    guard whole.count > limit else { return whole }
    return ViolationEvent(
      id: id, thing: thing, profile: profile,
      behavior: .former(name: behavior.name, metric: behavior.metric), metricValue: metricValue, type: type,
      time: time
    ).json
  }

  /// The event as a line of JSON, without the line end.
  package var json: [UInt8] {
    var document = JSONWriter()
    write(to: &document)
    return document.bytes
  }
}

/// The behavior of an event.
package enum EventBehavior: Equatable, Sendable {
  case current(Behavior)
  /// A behavior that was changed or removed; its criteria are no longer known.
  case former(name: String, metric: String)

  package var name: String {
    switch self {
    case .current(let behavior): behavior.name
    case .former(let name, _): name
    }
  }

  package var metric: String {
    switch self {
    case .current(let behavior): behavior.metric.name
    case .former(_, let metric): metric
    }
  }

  /// The confidence level of a learned baseline; nil for other behaviors.
  var confidenceLevel: String? {
    guard case .current(let behavior) = self, case .machineLearning(let level) = behavior.criteria.threshold
    else { return nil }
    return level
  }

  /// Writes the behavior as AWS's API does.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    switch self {
    case .current(let behavior): behavior.write(to: &document)
    case .former(let name, let metric):
      document.beginMap(count: 2)
      document.member("name", name)
      document.member("metric", metric)
      document.endMap()
    }
  }
}

/// Returns the id of the alarm that began at `start`, in milliseconds since the epoch.
///
/// The id depends only on these values, so a repeated evaluation or delivery has the same id.
package func violationID(thing: String, profile: String, behavior: String, start: UInt64) -> String {
  let halves = [UInt64(0), 0x9E37_79B9_7F4A_7C15].map { seed in
    var hash = StableHash(seed: seed)
    for text in [thing, profile, behavior, String(start)] { hash.combine(text) }
    return hash.value
  }
  var bytes: [UInt8] = []
  for half in halves { appendBigEndian(half, to: &bytes) }
  let digits = Array(hex(bytes))
  let groups = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
  return groups.map { String(digits[$0]) }.joined(separator: "-")
}
