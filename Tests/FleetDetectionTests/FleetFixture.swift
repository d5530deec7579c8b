import Detection
import FleetDetection
import Platform
import TestSupport
import WireFormats

/// A detector with a store in memory and a delivery that records events.
final class FleetFixture {
  let time = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_700_000_100))
  let store = MemoryStore()
  let delivery = RecordedDelivery()
  let log = RecordedLog()
  var files: [Result<ProfileDocument, ProfileSourceError>] = []

  /// A profile of the things `pump-*`, whose listening ports must be 22 or 443.
  static let ports = """
    {"things":["pump-*"],"profile":{"securityProfileName":"ports","alertTargets":{"SNS":{
    "alertTargetArn":"arn:aws:sns:eu-west-1:123456789012:alarms","roleArn":"arn:aws:iam::123456789012:role/alarms"}},
    "behaviors":[{"name":"open","metric":"aws:listening-tcp-ports",
    "criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22,443]}}}]}}
    """

  init(_ profiles: [String] = [ports]) {
    files = profiles.enumerated().map { .success(ProfileDocument(name: "p\($0)", text: Array($1.utf8))) }
  }

  var silence: Duration?
  var retention: Duration = .seconds(30 * 86_400)
  /// The store with profiles; nil for none.
  var profileStore: (any FleetStore)?

  func detector(_ store: (any FleetStore)? = nil) -> FleetDetector {
    let catalog = ProfileCatalog(files: { self.files }, store: profileStore, time: time, log: log.log())
    return FleetDetector(
      store ?? self.store, delivery, catalog, silence: silence, retention: retention, time: time,
      log: log.log())
  }

  var deadline: BootTime { time.bootTime.advanced(by: .seconds(60)) }

  @discardableResult
  func process(_ bodies: [String], _ detector: FleetDetector? = nil) throws -> BatchOutcome {
    try (detector ?? self.detector()).process(bodies.map { Array($0.utf8) }, until: deadline)
  }

  @discardableResult
  func sweep(_ store: (any FleetStore)? = nil) throws -> FleetCounts {
    var counts = FleetCounts()
    try detector(store).sweep(&counts, until: deadline)
    return counts
  }

  /// The item of a thing under the profile `ports`.
  func item(_ thing: String = "pump-1") -> StateItem? {
    store.states[StateItem.Key(thing: thing, profile: "ports")]
  }
}

/// The body of a record with a report of listening ports.
func report(_ id: Int, _ ports: [Int], thing: String = "pump-1") -> String {
  let entries = ports.map { "{\"port\":\($0)}" }.joined(separator: ",")
  return """
    {"header":{"report_id":\(1_700_000_000 + id),"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[\(entries)],
    "total":\(ports.count)}},"thing":"\(thing)","timestamp":\(1_700_000_000_000 + id * 1_000)}
    """
}

/// Records events, and fails while `failure` is set.
final class RecordedDelivery: EventDelivery {
  private(set) var entries: [OutboxEntry] = []
  var failure: DeliveryError?
  /// The targets that fail, and how long each attempt takes.
  var broken: Set<String> = []
  var patience: Duration = .zero
  var time: ManualTime?
  private(set) var attempts = 0

  func deliver(_ entry: OutboxEntry, until deadline: BootTime) throws(DeliveryError) {
    attempts += 1
    if let failure { throw failure }
    let targets = entry.targets + (entry.isPublished ? [] : [OutboxEntry.iotTarget])
    let failed = targets.filter { broken.contains($0) }
    if failed.count < targets.count { entries.append(entry) }
    guard !failed.isEmpty else { return }
    time?.advance(by: patience)
    throw DeliveryError("\(failed) failed.", failed: failed)
  }

  var events: [HistoryEvent] { entries.compactMap { HistoryEvent($0.event) } }
  var types: [String] { events.map(\.type) }
}

/// A store that other processes use, too: runs `meanwhile` before a write, and fails if `failure` is set.
final class ContendedStore: FleetStore {
  let store: MemoryStore
  var beforeSave: [() throws -> Void] = []
  var failure: StoreError?
  var attentionFailure: StoreError?
  /// The thing whose item the store rejects.
  var rejectedThing: String?
  /// The thing whose events the history rejects.
  var rejectedEventThing: String?
  /// The write that fails, by its number.
  var failingSave: Int?
  /// Whether the answers of writes are lost, so that their retries find their own writes.
  var losesAnswers = false
  /// Whether values can't be added to sketches.
  var failsToAdd = false
  private(set) var sketchReads = 0
  private(set) var saves = 0
  private(set) var reads = 0

  init(_ store: MemoryStore) { self.store = store }

  func items(_ keys: [StateItem.Key], until deadline: BootTime) throws(StoreError) -> [StateItem] {
    reads += 1
    if let failure { throw failure }
    return try store.items(keys, until: deadline)
  }

  func save(_ item: StateItem, until deadline: BootTime) throws(StoreError) -> Bool {
    saves += 1
    if saves == failingSave { throw StoreError("PutItem on the table 'fleet' failed.") }
    if item.key.thing == rejectedThing { throw StoreError("The item has more than 400 KB.", .item) }
    if !beforeSave.isEmpty { try? beforeSave.removeFirst()() }
    if losesAnswers { _ = try store.save(item, until: deadline) }
    return try store.save(item, until: deadline)
  }

  func saveAll(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [Bool] {
    if failingSave == 0 { throw StoreError("TransactWriteItems on the table 'fleet' failed.") }
    return try store.saveAll(items, until: deadline)
  }

  func append(_ events: [HistoryEvent], until deadline: BootTime) throws(StoreError) {
    if events.contains(where: { $0.thing == rejectedEventThing }) { throw StoreError("No.", .item) }
    try store.append(events, until: deadline)
  }

  func visitItemsThatNeedAttention(until deadline: BootTime, _ visit: Visitor) throws(StoreError) {
    if let attentionFailure { throw attentionFailure }
    try store.visitItemsThatNeedAttention(until: deadline, visit)
  }

  func visitItems(
    seen times: Range<Int64>, until deadline: BootTime, _ visit: Visitor
  ) throws(StoreError) {
    try store.visitItems(seen: times, until: deadline, visit)
  }

  func events(
    of thing: String, _ times: ClosedRange<UInt64>, until deadline: BootTime
  ) throws(StoreError) -> [HistoryEvent] {
    try store.events(of: thing, times, until: deadline)
  }

  func add(_ sketches: [SketchKey: PercentileSketch], until deadline: BootTime) throws(StoreError) {
    if failsToAdd { throw StoreError("UpdateItem on the table 'fleet' failed.") }
    try store.add(sketches, until: deadline)
  }

  func sketch(_ key: SketchKey, until deadline: BootTime) throws(StoreError) -> PercentileSketch {
    sketchReads += 1
    return try store.sketch(key, until: deadline)
  }

  func profiles(
    until deadline: BootTime
  ) throws(StoreError) -> [Result<ProfileDocument, ProfileSourceError>] {
    try store.profiles(until: deadline)
  }

  func save(_ profile: ProfileDocument, until deadline: BootTime) throws(StoreError) {
    try store.save(profile, until: deadline)
  }
}
