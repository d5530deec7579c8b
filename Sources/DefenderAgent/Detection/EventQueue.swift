import Detection
import WireFormats

/// The violation events that aren't published yet, the oldest first.
struct EventQueue: Equatable, Sendable {
  /// The largest number of events that are kept.
  static let capacity = 100

  private(set) var events: [[UInt8]] = []
  /// The number of events that were dropped because the queue was full.
  private(set) var dropped: UInt64 = 0

  /// Appends an event, and drops the oldest one if the queue is full.
  mutating func append(_ event: [UInt8]) {
    events.append(event)
    if events.count > Self.capacity {
      events.removeFirst()
      dropped += 1
    }
  }

  /// Puts the events of an earlier process before those of this one.
  mutating func prepend(_ earlier: EventQueue) {
    var all = earlier
    for event in events { all.append(event) }
    all.dropped += dropped
    self = all
  }

  /// Removes the oldest event, which was published.
  mutating func removeFirst() { if !events.isEmpty { events.removeFirst() } }

  /// Returns the number of dropped events, and starts counting again.
  mutating func takeDropped() -> UInt64 {
    defer { dropped = 0 }
    return dropped
  }

  /// Writes the members `events` and `dropped`.
  func write(to document: inout JSONWriter) {
    document.key("events")
    document.beginList(count: events.count)
    for event in events { document.literal(String(decoding: event, as: UTF8.self)) }
    document.endList()
    document.member("dropped", dropped)
  }

  init() {}

  /// Reads the members `events` and `dropped`.
  init(_ json: JSONValue) throws(DetectionStateError) {
    guard let list = json["events"]?.array else { throw .member("events") }
    guard let dropped: UInt64 = json["dropped"]?.integer() else { throw .member("dropped") }
    self.dropped = dropped
    for (index, event) in list.enumerated() {
      guard event.members != nil else { throw .member("events[\(index)]") }
      var document = JSONWriter()
      event.write(to: &document)
      append(document.bytes)
    }
  }
}
