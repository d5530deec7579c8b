package import Detection
package import Platform
import WireFormats

/// A store in one local file that only its owner can read, for a fleet on one machine.
///
/// Each change replaces the whole file, so it fits a few thousand things. Several processes may use it: each operation locks the
/// file's directory and reads what the others wrote. A damaged file is an error, because to forget alarms would be worse.
package final class FileStore: FleetStore {
  private static let sizeLimit = 64 << 20
  /// How long an operation waits for another process, even if the deadline is later.
  private static let longestWait = Duration.seconds(10)
  /// How long the sketch of a complete window is kept, in milliseconds: an hour, for reports that come late.
  private static let sketchLifetime: UInt64 = 3_600_000

  private let path: String
  private let directory: String
  private let name: String
  private let retention: Duration
  private let time: any TimeSource
  /// The file as it was last read or written, and what it contains.
  private var bytes: [UInt8] = []
  private var contents = MemoryStore()

  /// Creates a store in the file at `path`, which needn't exist yet. Events, and states that aren't written, are removed after
  /// `retention`.
  package init(_ path: String, retention: Duration, time: any TimeSource) {
    self.path = path
    let slash = path.lastIndex(of: "/")
    directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    self.retention = retention
    self.time = time
  }

  package func items(_ keys: [StateItem.Key], until deadline: BootTime) throws(StoreError) -> [StateItem] {
    try read(until: deadline) { store throws(StoreError) in try store.items(keys, until: deadline) }
  }

  package func save(_ item: StateItem, until deadline: BootTime) throws(StoreError) -> Bool {
    try change(until: deadline) { store throws(StoreError) in try store.save(item, until: deadline) }
  }

  package func saveAll(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [Bool] {
    try change(until: deadline) { store throws(StoreError) in try store.saveAll(items, until: deadline) }
  }

  package func append(_ events: [HistoryEvent], until deadline: BootTime) throws(StoreError) {
    try change(until: deadline) { store throws(StoreError) in try store.append(events, until: deadline) }
  }

  package func visitItemsThatNeedAttention(until deadline: BootTime, _ visit: Visitor) throws(StoreError) {
    // `visit` may save, so it is called without the lock.
    let items = try read(until: deadline) { store throws(StoreError) in store.itemsThatNeedAttention }
    try visit(items)
  }

  package func visitItems(
    seen times: Range<Int64>, until deadline: BootTime, _ visit: Visitor
  ) throws(StoreError) {
    let items = try read(until: deadline) { store throws(StoreError) in store.items(seen: times) }
    try visit(items)
  }

  package func events(
    of thing: String, _ times: ClosedRange<UInt64>, until deadline: BootTime
  ) throws(StoreError) -> [HistoryEvent] {
    try read(until: deadline) { store throws(StoreError) in
      try store.events(of: thing, times, until: deadline)
    }
  }

  package func add(
    _ sketches: [SketchKey: PercentileSketch], until deadline: BootTime
  ) throws(StoreError) {
    try change(until: deadline) { store throws(StoreError) in try store.add(sketches, until: deadline) }
  }

  package func sketch(_ key: SketchKey, until deadline: BootTime) throws(StoreError) -> PercentileSketch {
    try read(until: deadline) { store throws(StoreError) in try store.sketch(key, until: deadline) }
  }

  package func profiles(
    until deadline: BootTime
  ) throws(StoreError) -> [Result<ProfileDocument, ProfileSourceError>] {
    try read(until: deadline) { store throws(StoreError) in try store.profiles(until: deadline) }
  }

  package func save(_ profile: ProfileDocument, until deadline: BootTime) throws(StoreError) {
    try change(until: deadline) { store throws(StoreError) in try store.save(profile, until: deadline) }
  }

  private func read<Result>(
    until deadline: BootTime, _ work: (MemoryStore) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try load(try locked(until: deadline))
    return try work(contents)
  }

  private func change<Result>(
    until deadline: BootTime, _ work: (MemoryStore) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let directory = try locked(until: deadline)
    try load(directory)
    let result = try work(contents)
    let oldest = time.wallTime.advanced(by: .zero - retention).secondsSinceEpoch
    contents.removeAll(before: oldest)
    let now = UInt64(clamping: time.wallTime.nanosecondsSinceEpoch / 1_000_000)
    contents.removeSketches(before: now - min(now, Self.sketchLifetime))
    let changed = contents.document
    guard changed != bytes else { return result }
    do throws(Errno) {
      try directory.replace(name, with: changed)
      bytes = changed
    } catch {
      // What couldn't be written must not be read again.
      bytes = []
      throw StoreError("The state can't be saved to '\(path)': \(error.ofFile).")
    }
    return result
  }

  /// Locks the directory, so that no other process changes the file meanwhile.
  private func locked(until deadline: BootTime) throws(StoreError) -> PrivateDirectory {
    let patience = min(max(.zero, time.bootTime.duration(to: deadline)), Self.longestWait)
    do throws(Errno) {
      return try PrivateDirectory(directory, patience: patience)
    } catch {
      throw StoreError(
        error == .wouldBlock
          ? "The state in '\(path)' can't be used: another process holds the lock of its directory. Stop it, or use another file."
          : "The state in '\(path)' can't be used: its directory can't be opened: \(error.ofFile).")
    }
  }

  private func load(_ directory: borrowing PrivateDirectory) throws(StoreError) {
    let found: [UInt8]?
    do throws(Errno) {
      found = try directory.read(name, limit: Self.sizeLimit)
    } catch {
      throw StoreError("The state in '\(path)' can't be read: \(error.ofFile). Use a file of your own.")
    }
    guard let found else {
      (bytes, contents) = ([], MemoryStore())
      return
    }
    if !bytes.isEmpty, found == bytes { return }
    do throws(StoreError) {
      contents = try MemoryStore(document: found)
      bytes = found
    } catch {
      throw StoreError(
        "The state in '\(path)' can't be used: \(error). Remove the file to start without a state.")
    }
  }
}

// The document of the file.
extension MemoryStore {
  private static var version: UInt64 { 1 }

  /// Everything as JSON, in a fixed order.
  fileprivate var document: [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 5)
    document.member("version", Self.version)
    document.key("states")
    document.list(states.values.sorted { $0.key < $1.key }) { $1.write(to: &$0) }
    document.key("events")
    document.list(history) { $0.literal(String(decoding: $1.json, as: UTF8.self)) }
    document.key("sketches")
    document.list(sketches.sorted { $0.key < $1.key }) { $1.value.write(to: &$0, $1.key) }
    document.key("profiles")
    document.list(documents.values.sorted { $0.name < $1.name }) { document, profile in
      document.beginMap(count: 2)
      document.member("name", profile.name)
      document.member("document", String(decoding: profile.text, as: UTF8.self))
      document.endMap()
    }
    document.endMap()
    return document.bytes
  }

  /// Reads a document. An error is a fragment such as `it has no 'states'`.
  fileprivate convenience init(document bytes: [UInt8]) throws(StoreError) {
    self.init()
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue(parsing: bytes)
    } catch {
      throw StoreError("it is malformed at byte \(error.offset)")
    }
    guard let version: UInt64 = json["version"]?.integer() else { throw StoreError("it has no 'version'") }
    guard version == Self.version else {
      throw StoreError("it has version \(version), but this program supports version \(Self.version)")
    }
    func list(_ name: String) throws(StoreError) -> [JSONValue] {
      guard let list = json[name]?.array else { throw StoreError("it has no list '\(name)'") }
      return list
    }
    for (index, element) in try list("states").enumerated() {
      do throws(StoreError) {
        restore(try StateItem(element))
      } catch {
        throw StoreError("states[\(index)]: \(error)")
      }
    }
    for (index, element) in try list("events").enumerated() {
      guard let event = HistoryEvent(element.json) else {
        throw StoreError("events[\(index)] isn't a violation event")
      }
      restore(event)
    }
    for (index, element) in try list("sketches").enumerated() {
      guard let key = SketchKey(element), let sketch = PercentileSketch(element) else {
        throw StoreError("sketches[\(index)] is malformed")
      }
      restore(sketch, key)
    }
    for (index, element) in try list("profiles").enumerated() {
      guard let name = element["name"]?.string, let text = element["document"]?.string else {
        throw StoreError("profiles[\(index)] has no 'name' or no 'document'")
      }
      restore(ProfileDocument(name: name, text: Array(text.utf8)))
    }
  }
}

extension SketchKey {
  fileprivate static func < (left: SketchKey, right: SketchKey) -> Bool {
    (left.profile, left.behavior, left.fingerprint, left.window)
      < (right.profile, right.behavior, right.fingerprint, right.window)
  }

  fileprivate init?(_ json: JSONValue) {
    guard let profile = json["profile"]?.string, let behavior = json["behavior"]?.string,
      let fingerprint: UInt64 = json["fingerprint"]?.integer(),
      let window: UInt64 = json["window"]?.integer(),
      let length: UInt64 = json["length"]?.integer(), window < UInt64(1) << 40
    else { return nil }
    self.init(profile: profile, behavior: behavior, fingerprint: fingerprint, window: window, length: length)
  }
}

extension PercentileSketch {
  fileprivate func write(to document: inout JSONWriter, _ key: SketchKey) {
    document.beginMap(count: 6)
    document.member("profile", key.profile)
    document.member("behavior", key.behavior)
    document.member("fingerprint", key.fingerprint)
    document.member("window", key.window)
    document.member("length", key.length)
    document.key("counts")
    document.beginMap(count: counts.count)
    for (bucket, count) in counts.sorted(by: { $0.key < $1.key }) { document.member(String(bucket), count) }
    document.endMap()
    document.endMap()
  }

  fileprivate init?(_ json: JSONValue) {
    guard let members = json["counts"]?.members else { return nil }
    var counts: [Bucket: UInt64] = [:]
    for member in members {
      guard let bucket = Int(member.name), let count: UInt64 = member.value.integer() else { return nil }
      counts[bucket] = count
    }
    self.init(counts: counts)
  }
}

extension StateItem {
  fileprivate func write(to document: inout JSONWriter) {
    document.beginMap(count: 8 + (silentSince == nil ? 0 : 1))
    document.member("thing", key.thing)
    document.member("profile", key.profile)
    document.member("version", UInt64(clamping: version))
    document.member("seen", UInt64(clamping: seen))
    document.member("updated", UInt64(clamping: updated))
    if let silentSince { document.member("silent", UInt64(clamping: silentSince)) }
    document.key("state")
    state.write(to: &document)
    document.key("outbox")
    document.literal(String(decoding: OutboxEntry.encoding(outbox), as: UTF8.self))
    document.key("alarms")
    document.literal(String(decoding: ActiveAlarm.encoding(alarms), as: UTF8.self))
    document.endMap()
  }

  fileprivate init(_ json: JSONValue) throws(StoreError) {
    func number(_ name: String) throws(StoreError) -> Int64 {
      guard let number: Int64 = json[name]?.integer(), number >= 0 else {
        throw StoreError("the member '\(name)' is missing or malformed")
      }
      return number
    }
    guard let thing = json["thing"]?.string else { throw StoreError("the member 'thing' is missing") }
    guard let profile = json["profile"]?.string else { throw StoreError("the member 'profile' is missing") }
    self.init(Key(thing: thing, profile: profile))
    (version, seen, updated) = (try number("version"), try number("seen"), try number("updated"))
    if json["silent"] != nil { silentSince = try number("silent") }
    do throws(DetectionStateError) {
      state = try DetectionState(json["state"] ?? .null)
    } catch {
      throw StoreError("state: \(error)")
    }
    guard let outbox = (json["outbox"]?.json).flatMap(OutboxEntry.decoding) else {
      throw StoreError("the member 'outbox' is missing or malformed")
    }
    guard let alarms = (json["alarms"]?.json).flatMap(ActiveAlarm.decoding) else {
      throw StoreError("the member 'alarms' is missing or malformed")
    }
    (self.outbox, self.alarms) = (outbox, alarms)
  }
}
