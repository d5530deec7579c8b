package import Detection
import WireFormats

/// What the store keeps of one thing under one profile.
package struct StateItem: Equatable, Sendable {
  package struct Key: Hashable, Comparable, Sendable {
    package let thing: String
    package let profile: String

    package static func < (left: Key, right: Key) -> Bool {
      (left.thing, left.profile) < (right.thing, right.profile)
    }

    package init(thing: String, profile: String) {
      self.thing = thing
      self.profile = profile
    }

    /// Hashes only the thing, which has few profiles.
    package func hash(into hasher: inout Hasher) { hasher.combine(thing) }
  }

  package let key: Key
  /// The number of writes so far; 0 if the item isn't stored yet. A write succeeds only if the stored item has this version.
  package var version: Int64 = 0
  package var state = DetectionState()
  /// When a report was last evaluated, in milliseconds. Written with a change of the state, and otherwise at most hourly.
  package var seen: Int64 = 0
  /// When the item was last written, in milliseconds.
  package var updated: Int64 = 0
  /// The events that may not have been delivered yet, the oldest first.
  package var outbox: [OutboxEntry] = []
  package var alarms: [ActiveAlarm] = []
  /// When the alarm about missing reports began, in milliseconds; nil if there is none.
  package var silentSince: Int64?

  package init(_ key: Key) { self.key = key }

  /// Whether the sweep must look at the item.
  package var needsAttention: Bool { !outbox.isEmpty || !alarms.isEmpty }

  /// The number of bytes of the outbox in the item.
  var outboxSize: Int { outbox.reduce(0) { $0 + $1.size } }
}

/// An event that is written together with the state that it follows from.
package struct OutboxEntry: Equatable, Sendable {
  /// What ``DeliveryError/failed`` calls the topic of AWS IoT.
  package static let iotTarget = "AWS IoT"

  /// The event as JSON, in the shape of AWS's `ViolationEvent`.
  package let event: [UInt8]
  /// The ARNs of the SNS topics that don't have it yet; none if the behavior suppresses alerts.
  package internal(set) var targets: [String]
  /// Whether it was published to the topic of AWS IoT.
  package internal(set) var isPublished = false
  /// Whether the history has it.
  var isRecorded = false

  package init(event: [UInt8], targets: [String]) {
    self.event = event
    self.targets = targets
  }

  var isDelivered: Bool { targets.isEmpty && isPublished }

  /// The number of bytes that it adds to an item, with the members and the quotation marks around it.
  var size: Int { event.count + targets.reduce(64) { $0 + $1.utf8.count + 3 } }

  static func encoding(_ entries: [OutboxEntry]) -> [UInt8] {
    var document = JSONWriter()
    document.beginList(count: entries.count)
    for entry in entries {
      document.beginMap(count: 2)
      document.key("event")
      document.literal(String(decoding: entry.event, as: UTF8.self))
      document.key("targets")
      document.beginList(count: entry.targets.count)
      for target in entry.targets { document.string(target) }
      document.endList()
      if entry.isPublished {
        document.key("published")
        document.boolean(true)
      }
      if entry.isRecorded {
        document.key("recorded")
        document.boolean(true)
      }
      document.endMap()
    }
    document.endList()
    return document.bytes
  }

  /// Reads entries without building a tree: a hundred full outboxes would need several times their size. Nil if they are malformed.
  static func decoding(_ bytes: [UInt8]) -> [OutboxEntry]? {
    try? JSONScanner.elements(of: bytes) { scanner throws(ScanError) in try OutboxEntry(&scanner) }
  }

  private init(_ scanner: inout JSONScanner) throws(ScanError) {
    var event: [UInt8]?
    var targets: [String]?
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "event"), try scanner.kind() == .map {
        event = try scanner.skippedItem()
      } else if scanner.matches(key, "targets") {
        var list = try scanner.beginList()
        var found: [String] = []
        while try scanner.nextElement(of: &list) { found.append(try scanner.string(scanner.text())) }
        targets = found
      } else if scanner.matches(key, "published") {
        isPublished = try scanner.boolean()
      } else if scanner.matches(key, "recorded") {
        isRecorded = try scanner.boolean()
      } else {
        try scanner.skip()
      }
    }
    guard let event, let targets else { throw scanner.malformed("an event has no event or no targets") }
    (self.event, self.targets) = (event, targets)
  }
}

/// An active alarm in the shape of AWS's `ActiveViolation`.
package struct ActiveAlarm: Equatable, Sendable {
  package let id: String
  package private(set) var json: [UInt8]
  /// The time of the last violation in seconds.
  private(set) var lastTime: UInt64

  /// The most bytes of an alarm; a larger one is stored without its behavior's criteria, or without its value.
  private static let sizeLimit = 1_024

  init(_ event: ViolationEvent) {
    id = event.id
    lastTime = event.time
    var json = Self.json(event, event.behavior, event.metricValue)
    let plain = EventBehavior.former(name: event.behavior.name, metric: event.behavior.metric)
    if json.count > Self.sizeLimit { json = Self.json(event, plain, event.metricValue) }
    if json.count > Self.sizeLimit { json = Self.json(event, plain, nil) }
    self.json = json
  }

  private init(id: String, json: [UInt8], lastTime: UInt64) {
    self.id = id
    self.json = json
    self.lastTime = lastTime
  }

  /// Sets the last value and its time.
  mutating func update(_ violation: OngoingViolation) {
    guard violation.id == id, violation.time > lastTime, let alarm = try? JSONValue(parsing: json) else {
      return
    }
    var value = JSONWriter()
    violation.value.write(to: &value)
    var members = (alarm.members ?? []).filter {
      !["lastViolationValue", "lastViolationTime"].contains($0.name)
    }
    members.append(JSONValue.Member(name: "lastViolationTime", value: .number(String(violation.time))))
    lastTime = violation.time
    json = JSONValue.object(members).json
    if json.count + value.bytes.count <= Self.sizeLimit, let value = try? JSONValue(parsing: value.bytes) {
      members.append(JSONValue.Member(name: "lastViolationValue", value: value))
      json = JSONValue.object(members).json
    }
  }

  private static func json(
    _ event: ViolationEvent, _ behavior: EventBehavior, _ value: MetricValue?
  ) -> [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 0)
    document.member("violationId", event.id)
    document.member("thingName", event.thing)
    document.member("securityProfileName", event.profile)
    document.key("behavior")
    behavior.write(to: &document)
    if let value {
      document.key("lastViolationValue")
      value.write(to: &document)
    }
    document.member("lastViolationTime", event.time)
    document.member("violationStartTime", event.time)
    document.endMap()
    return document.bytes
  }

  static func encoding(_ alarms: [ActiveAlarm]) -> [UInt8] {
    var document = JSONWriter()
    document.beginList(count: alarms.count)
    for alarm in alarms { document.literal(String(decoding: alarm.json, as: UTF8.self)) }
    document.endList()
    return document.bytes
  }

  static func decoding(_ bytes: [UInt8]) -> [ActiveAlarm]? {
    try? JSONScanner.elements(of: bytes) { scanner throws(ScanError) in try ActiveAlarm(&scanner) }
  }

  private init(_ scanner: inout JSONScanner) throws(ScanError) {
    var id: String?
    var last: UInt64?
    // Positions at the alarm, whose bytes are read twice: for the members, and as a whole.
    _ = try scanner.kind()
    var whole = scanner
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "violationId") {
        id = try scanner.string(scanner.text())
      } else if scanner.matches(key, "lastViolationTime") {
        if case .integer(let time) = try scanner.number() { last = time }
      } else {
        try scanner.skip()
      }
    }
    guard let id else { throw scanner.malformed("an alarm has no violationId") }
    self.init(id: id, json: try whole.skippedItem(), lastTime: last ?? 0)
  }
}

extension JSONScanner {
  /// Skips the next item, and returns its bytes.
  fileprivate mutating func skippedItem() throws(ScanError) -> [UInt8] {
    _ = try kind()
    let start = position
    try skip()
    return Array(bytes[start..<position])
  }

  /// Returns the elements of a list, which must be the whole document.
  fileprivate static func elements<Element>(
    of bytes: [UInt8], _ read: (inout JSONScanner) throws(ScanError) -> Element
  ) throws(ScanError) -> [Element] {
    var scanner = JSONScanner(bytes)
    var elements: [Element] = []
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) { elements.append(try read(&scanner)) }
    guard scanner.isAtEnd() else { throw scanner.malformed("unexpected data after the list") }
    return elements
  }
}

extension JSONValue {
  /// The value as compact JSON.
  var json: [UInt8] {
    var document = JSONWriter()
    write(to: &document)
    return document.bytes
  }
}
