package import AWSClient
package import Detection
package import Platform
import WireFormats

/// A store in one DynamoDB table.
///
/// | item | `pk` | `sk` |
/// |---|---|---|
/// | state of a thing | `thing#NAME` | `state#PROFILE` |
/// | event of a thing | `thing#NAME` | `event#TIME#ID#TYPE` |
/// | profile | `profile` | its name |
/// | values of a window, by bucket | `sketch#PROFILE#BEHAVIOR#FINGERPRINT#WINDOW` | a number from 0 to 15 |
///
/// The index `attention` has the states with an active alarm or an undelivered event; all others lack its key. If silence is an alarm,
/// the index `seen` has the other states by the time of the last report.
package final class DynamoDBStore: FleetStore {
  /// The number of partitions of the index, which divide its load.
  package static let shardCount: UInt32 = 16

  package static func randomShard() -> UInt32 {
    var generator = SystemRandomNumberGenerator()
    return .random(in: 0..<shardCount, using: &generator)
  }
  /// The number of keys that a query of an index returns at a time.
  private static let pageSize = 1_000
  /// The number of items that a visitor gets at a time. A read may return 100, which need 72 MB if each has 100 KB.
  private static let visitSize = 25
  /// The largest time in milliseconds that a sort key holds.
  private static let timeDigits = 15

  /// How long the values of a window are kept: an alarm is invalidated after two days without its metric, so nobody needs older ones.
  private static let sketchLifetime = Duration.seconds(3 * 86_400)
  /// The prefix of the attributes with the number of values in a bucket.
  private static let bucketPrefix = "b"

  private let client: DynamoDBClient
  private let time: any TimeSource
  private let retention: Duration
  private let watchesSilence: Bool
  private let log: Log
  private let firstShard: () -> UInt32
  /// The part of each sketch to which this process adds, so that processes seldom write the same item.
  private let sketchShard: String
  private var names = StateNames()

  /// Creates a store. DynamoDB removes a state that isn't written for `retention`, and events after that time. `firstShard` returns a
  /// random number.
  package init(
    _ client: DynamoDBClient, retention: Duration, watchesSilence: Bool = false, time: any TimeSource,
    log: Log, firstShard: @escaping () -> UInt32 = { randomShard() }
  ) {
    self.firstShard = firstShard
    self.watchesSilence = watchesSilence
    sketchShard = String(Self.randomShard())
    self.client = client
    self.retention = retention
    self.time = time
    self.log = log
  }

  /// The number of requests so far.
  package var requestCount: Int { client.requestCount }

  package func items(_ keys: [StateItem.Key], until deadline: BootTime) throws(StoreError) -> [StateItem] {
    var found: [StateItem] = []
    var rest = keys[...]
    while !rest.isEmpty {
      let some = rest.prefix(DynamoDBClient.readLimit)
      rest = rest.dropFirst(some.count)
      let items = try storing { () throws(DynamoDBError) in
        try client.items(some.map { key in key.primary }, until: deadline)
      }
      found += items.compactMap(stateItem)
    }
    return found
  }

  package func save(_ item: StateItem, until deadline: BootTime) throws(StoreError) -> Bool {
    do throws(DynamoDBError) {
      try client.put(put(item), until: deadline)
      return true
    } catch {
      guard error.isConditionFailed else { throw StoreError(error) }
      return false
    }
  }

  package func saveAll(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [Bool] {
    var done: [Bool] = []
    var backoff = Backoff(first: .milliseconds(10), cap: .milliseconds(200), jitter: 1)
    var puts: [DynamoDBClient.Put] = []
    var size = 0
    for item in items {
      let put = put(item)
      if puts.count == DynamoDBClient.readLimit || size + put.size > DynamoDBClient.transactionSizeLimit {
        done += try saveTogether(puts[...], &backoff, until: deadline)
        (puts, size) = ([], 0)
      }
      puts.append(put)
      size += put.size
    }
    return try done + saveTogether(puts[...], &backoff, until: deadline)
  }

  /// Writes the items in one transaction. If one was changed meanwhile or is rejected, writes each half in its own.
  private func saveTogether(
    _ puts: ArraySlice<DynamoDBClient.Put>, _ backoff: inout Backoff, until deadline: BootTime
  ) throws(StoreError) -> [Bool] {
    guard let first = puts.first else { return [] }
    do throws(DynamoDBError) {
      if puts.count == 1 {
        try client.put(first, until: deadline)
      } else {
        try client.putAll(Array(puts), until: deadline)
      }
      return puts.map { _ in true }
    } catch {
      guard error.isConditionFailed || error.rejectsItems else { throw StoreError(error) }
      if puts.count == 1 {
        if error.rejectsItems {
          log.error(
            "The item \(first.item["sk"]?.string ?? "") of \(first.item["pk"]?.string ?? "") isn't written. \(error)"
          )
        }
        return [false]
      }
      // Another transaction may hold an item. Without a pause, both could stop each other again.
      try storing { () throws(DynamoDBError) in
        try client.pause(&backoff, "TransactWriteItems", until: deadline)
      }
    }
    let middle = puts.startIndex + puts.count / 2
    return try saveTogether(puts[..<middle], &backoff, until: deadline)
      + saveTogether(puts[middle...], &backoff, until: deadline)
  }

  package func append(_ events: [HistoryEvent], until deadline: BootTime) throws(StoreError) {
    // A request with the same key twice is rejected.
    var items: [String: DynamoDBItem] = [:]
    for event in events {
      let sort = "event#\(Self.sortTime(event.time))#\(event.id)#\(event.type)"
      items["\(event.thing)\n\(sort)"] = [
        "pk": .string(StateItem.Key.thingPrefix + event.thing), "sk": .string(sort),
        "event": .binary(event.json),
        "expires": .number(expiry),
      ]
    }
    let sorted = items.sorted { $0.key < $1.key }.map(\.value)
    try storing { () throws(DynamoDBError) in try client.putEach(sorted, until: deadline) }
  }

  package func visitItemsThatNeedAttention(until deadline: BootTime, _ visit: Visitor) throws(StoreError) {
    try self.visit(DynamoDBQuery("attention", .string("")), "attention", until: deadline, visit)
  }

  package func visitItems(
    seen times: Range<Int64>, until deadline: BootTime, _ visit: Visitor
  ) throws(StoreError) {
    guard watchesSilence, !times.isEmpty else { return }
    var query = DynamoDBQuery("shard", .string(""))
    query.range = ("seen", .number(times.lowerBound), .number(times.upperBound - 1))
    try self.visit(query, "seen", until: deadline) { items throws(StoreError) in
      try visit(items.filter { times.contains($0.seen) && $0.silentSince == nil })
    }
  }

  /// Passes the items that an index has, as they are in the table: the index lags behind it. Begins at a random partition, so that
  /// visitors that don't reach the end reach other items each time.
  private func visit(
    _ query: DynamoDBQuery, _ index: String, until deadline: BootTime, _ visit: Visitor
  ) throws(StoreError) {
    let first = firstShard()
    for offset in 0..<Self.shardCount {
      var query = query
      query.index = index
      query.partition.value = .string(String((first % Self.shardCount + offset) % Self.shardCount))
      query.pageSize = Self.pageSize
      var page: DynamoDBPage?
      repeat {
        let next = try storing { () throws(DynamoDBError) in
          try client.page(query, after: page, until: deadline)
        }
        var keys = next.items.compactMap(Self.key)[...]
        while !keys.isEmpty {
          let some = keys.prefix(Self.visitSize)
          keys = keys.dropFirst(some.count)
          try visit(try items(Array(some), until: deadline))
        }
        page = next
      } while page?.isLast == false
    }
  }

  package func events(
    of thing: String, _ times: ClosedRange<UInt64>, until deadline: BootTime
  ) throws(StoreError) -> [HistoryEvent] {
    var query = DynamoDBQuery("pk", .string(StateItem.Key.thingPrefix + thing))
    query.range = (
      "sk", .string("event#\(Self.sortTime(times.lowerBound))"),
      // "$" follows "#", which follows the time.
      .string("event#\(Self.sortTime(times.upperBound))$")
    )
    let found = try storing { () throws(DynamoDBError) in try client.items(query, until: deadline) }
    return found.compactMap { item in
      guard let bytes = item["event"]?.binary else { return nil }
      return HistoryEvent(bytes)
    }
  }

  package func add(
    _ sketches: [SketchKey: PercentileSketch], until deadline: BootTime
  ) throws(StoreError) {
    for (key, sketch) in sketches {
      var rest = sketch.counts.sorted { $0.key < $1.key }[...]
      while !rest.isEmpty {
        let some = rest.prefix(DynamoDBClient.readLimit)
        rest = rest.dropFirst(some.count)
        let numbers = Dictionary(
          some.map { ("\(Self.bucketPrefix)\($0.key)", Int64(clamping: $0.value)) },
          uniquingKeysWith: { first, _ in first })
        let expiry = time.wallTime.advanced(by: Self.sketchLifetime).secondsSinceEpoch
        try storing { () throws(DynamoDBError) in
          try client.add(
            numbers, to: DynamoDBClient.Key(Self.partition(key), sketchShard),
            setting: ("expires", .number(expiry)), until: deadline)
        }
      }
    }
  }

  package func sketch(_ key: SketchKey, until deadline: BootTime) throws(StoreError) -> PercentileSketch {
    let query = DynamoDBQuery("pk", .string(Self.partition(key)))
    let items = try storing { () throws(DynamoDBError) in try client.items(query, until: deadline) }
    var sketch = PercentileSketch()
    for item in items {
      var counts: [PercentileSketch.Bucket: UInt64] = [:]
      for attribute in item.attributes {
        guard attribute.name.hasPrefix(Self.bucketPrefix), let bucket = Int(attribute.name.dropFirst()),
          let count = attribute.value.number
        else { continue }
        counts[bucket] = UInt64(clamping: count)
      }
      sketch.merge(PercentileSketch(counts: counts))
    }
    return sketch
  }

  private static func partition(_ key: SketchKey) -> String {
    "sketch#\(key.profile)#\(key.behavior)#\(key.fingerprint)#\(key.window)"
  }

  package func profiles(
    until deadline: BootTime
  ) throws(StoreError) -> [Result<ProfileDocument, ProfileSourceError>] {
    let query = DynamoDBQuery("pk", .string("profile"))
    let found = try storing { () throws(DynamoDBError) in try client.items(query, until: deadline) }
    return found.map { item in
      let name = item["sk"]?.string ?? ""
      let source = "the item '\(name)' of the table '\(client.table)'"
      guard let text = item["document"]?.string else {
        return .failure(
          ProfileSourceError(source: source, reason: "It has no attribute 'document' of the type string."))
      }
      return .success(ProfileDocument(name: name, text: Array(text.utf8), source: source))
    }
  }

  package func save(_ profile: ProfileDocument, until deadline: BootTime) throws(StoreError) {
    let item: DynamoDBItem = [
      "pk": .string("profile"), "sk": .string(profile.name),
      "document": .string(String(decoding: profile.text, as: UTF8.self)),
    ]
    try storing { () throws(DynamoDBError) in
      try client.put(DynamoDBClient.Put(item, .none), until: deadline)
    }
  }

  private var expiry: Int64 { time.wallTime.advanced(by: retention).secondsSinceEpoch }

  private static func sortTime(_ seconds: UInt64) -> String {
    let digits = String(min(seconds, 999_999_999_999) * 1_000)
    return String(repeating: "0", count: max(0, timeDigits - digits.utf8.count)) + digits
  }

  private func storing<Result>(_ work: () throws(DynamoDBError) -> Result) throws(StoreError) -> Result {
    do throws(DynamoDBError) {
      return try work()
    } catch {
      throw StoreError(error)
    }
  }
}

// The attributes of a state.
extension DynamoDBStore {
  private func put(_ item: StateItem) -> DynamoDBClient.Put {
    var attributes = item.key.primary.attributes
    attributes["version"] = .number(item.version + 1)
    attributes["state"] = .binary(item.state.cbor)
    attributes["seen"] = .number(item.seen)
    attributes["updated"] = .number(item.updated)
    attributes["expires"] = .number(expiry)
    if !item.outbox.isEmpty { attributes["outbox"] = .binary(OutboxEntry.encoding(item.outbox)) }
    if !item.alarms.isEmpty { attributes["alarms"] = .binary(ActiveAlarm.encoding(item.alarms)) }
    let shard = AttributeValue.string(String(crc32(item.key.thing.utf8) % Self.shardCount))
    if item.needsAttention { attributes["attention"] = shard }
    if let silentSince = item.silentSince {
      attributes["silent"] = .number(silentSince)
    } else if watchesSilence {
      attributes["shard"] = shard
    }
    return DynamoDBClient.Put(attributes, item.version == 0 ? .absent : .version(item.version))
  }

  private static func key(_ item: DynamoDBItem) -> StateItem.Key? {
    guard let thing = name(item["pk"]?.string, after: StateItem.Key.thingPrefix),
      let profile = name(item["sk"]?.string, after: StateItem.Key.profilePrefix)
    else { return nil }
    return StateItem.Key(thing: thing, profile: profile)
  }

  /// Returns what follows a prefix; nil if the text has another one.
  private static func name(_ text: String?, after prefix: String) -> String? {
    guard let text, text.hasPrefix(prefix) else { return nil }
    return String(utf8: text.utf8.span.extracting(droppingFirst: prefix.utf8.count))
  }

  /// Reads a state. A damaged state is logged and becomes an empty one, so that it doesn't stop its thing for good.
  private func stateItem(_ attributes: DynamoDBItem) -> StateItem? {
    guard let key = Self.key(attributes) else { return nil }
    var item = StateItem(key)
    item.version = attributes["version"]?.number ?? 0
    item.seen = attributes["seen"]?.number ?? 0
    item.updated = attributes["updated"]?.number ?? 0
    item.silentSince = attributes["silent"]?.number
    item.outbox = attributes["outbox"]?.binary.flatMap(OutboxEntry.decoding) ?? []
    item.alarms = attributes["alarms"]?.binary.flatMap(ActiveAlarm.decoding) ?? []
    do throws(DetectionStateError) {
      item.state = try DetectionState(parsingCBOR: attributes["state"]?.binary ?? [], &names)
    } catch {
      log.error(
        "The state of the thing '\(key.thing)' under the profile '\(key.profile)' can't be used: \(error). Its alarms are forgotten."
      )
      item.alarms = []
      return item
    }
    return item
  }
}

extension StoreError {
  init(_ error: DynamoDBError) {
    self.init("\(error)", error.rejectsItems ? .item : error.isOutOfTime ? .time : .store)
  }
}

extension StateItem.Key {
  fileprivate static let thingPrefix = "thing#"
  fileprivate static let profilePrefix = "state#"

  fileprivate var primary: DynamoDBClient.Key {
    DynamoDBClient.Key(Self.thingPrefix + thing, Self.profilePrefix + profile)
  }
}

extension HistoryEvent {
  /// Reads an event in the shape of AWS's `ViolationEvent`; nil if a member is missing.
  package init?(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(parsing: bytes), let thing = json["thingName"]?.string,
      let id = json["violationId"]?.string, let type = json["violationEventType"]?.string,
      let time: UInt64 = json["violationEventTime"]?.integer()
    else { return nil }
    self.init(thing: thing, id: id, type: type, time: time, json: bytes)
  }
}
