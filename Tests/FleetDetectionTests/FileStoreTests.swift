import Detection
import FleetDetection
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

struct `A store in a file` {
  private let directory: TemporaryDirectory
  private let fleet = FleetFixture()
  private var path: String { "\(directory.path)/state.json" }

  init() throws { directory = try TemporaryDirectory() }

  private func store() -> FileStore { FileStore(path, retention: .seconds(3 * 86_400), time: fleet.time) }

  private func active() throws(StoreError) -> [StateItem] {
    var found: [StateItem] = []
    try store().visitItemsThatNeedAttention(until: fleet.deadline) { found += $0 }
    return found
  }

  private func text() throws -> String { String(decoding: try readFile(path, limit: 1 << 20), as: UTF8.self) }

  @Test func `continues an alarm in another process, and ends it with the same id`() throws {
    try fleet.process([report(1, [22, 8080])], fleet.detector(store()))
    var status = stat()
    try #require(unsafe stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    let items = try active()
    #expect(items.map(\.key.thing) == ["pump-1"] && items.first?.alarms.count == 1)
    try fleet.process([report(1, [8080]), report(2, [8081])], fleet.detector(store()))
    #expect(fleet.delivery.types == ["in-alarm"])
    try fleet.process([report(3, [443])], fleet.detector(store()))
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
    #expect(Set(fleet.delivery.events.map(\.id)).count == 1)
    #expect(try active().isEmpty)
    let events = try store().events(of: "pump-1", 0...UInt64(Int64.max), until: fleet.deadline)
    #expect(events.map(\.type) == ["in-alarm", "alarm-cleared"])
  }

  @Test func `keeps undelivered events`() throws {
    fleet.delivery.failure = DeliveryError("SNS is down.")
    try fleet.process([report(1, [8080])], fleet.detector(store()))
    fleet.delivery.failure = nil
    fleet.time.advance(by: .seconds(120))
    try fleet.sweep(store())
    #expect(fleet.delivery.types == ["in-alarm"])
  }

  @Test func `writes an item only if no other process has changed it`() throws {
    let (first, second) = (store(), store())
    var item = StateItem(StateItem.Key(thing: "a", profile: "p"))
    item.updated = fleet.time.wallTime.nanosecondsSinceEpoch / 1_000_000
    #expect(try first.save(item, until: fleet.deadline))
    #expect(try !second.save(item, until: fleet.deadline))
    var next = try #require(try second.items([item.key], until: fleet.deadline).first)
    next.seen = 7
    next.silentSince = 8
    #expect(try second.save(next, until: fleet.deadline))
    #expect(try first.items([item.key], until: fleet.deadline).first?.seen == 7)
    #expect(try store().items([item.key], until: fleet.deadline).first?.silentSince == 8)
  }

  @Test func `keeps profiles, and removes old events and states but no active alarm`() throws {
    let document = ProfileDocument(name: "ports", text: Array(FleetFixture.ports.utf8))
    try store().save(document, until: fleet.deadline)
    #expect(try store().profiles(until: fleet.deadline).map { try $0.get() } == [document])
    try fleet.process(
      [report(1, [8080]), report(1, [22], thing: "pump-2")], fleet.detector(store()))
    fleet.time.advance(by: .seconds(4 * 86_400))
    try store().save(document, until: fleet.deadline)
    let keys = ["pump-1", "pump-2"].map { StateItem.Key(thing: $0, profile: "ports") }
    #expect(try store().items(keys, until: fleet.deadline).map(\.key.thing) == ["pump-1"])
    #expect(try store().events(of: "pump-1", 0...UInt64(Int64.max), until: fleet.deadline).isEmpty)
  }

  @Test(arguments: [
    ("", "it is malformed at byte 0"), ("{}", "it has no 'version'"),
    (#"{"version":2}"#, "it has version 2, but this program supports version 1"),
    (#"{"version":1}"#, "it has no list 'states'"),
    (#"{"version":1,"states":[{}],"events":[],"profiles":[]}"#, "states[0]: the member 'thing' is missing"),
    (
      #"{"version":1,"states":[{"thing":"a","profile":"p","version":1,"seen":1,"updated":-1}],"events":[],"profiles":[]}"#,
      "states[0]: the member 'updated' is missing or malformed"
    ),
    (
      #"{"version":1,"states":[{"thing":"a","profile":"p","version":1,"seen":1,"updated":1,"state":{"version":1}}],"#
        + #""events":[],"profiles":[]}"#, "states[0]: state: the member 'things' is missing or malformed"
    ),
    (#"{"version":1,"states":[],"events":[1],"profiles":[]}"#, "events[0] isn't a violation event"),
    (
      #"{"version":1,"states":[],"events":[],"sketches":[],"profiles":[{}]}"#, "profiles[0] has no 'name'"
    ),
    (
      #"{"version":1,"states":[],"events":[],"sketches":[{"profile":"p","behavior":"b","fingerprint":1,"window":1,"length":1,"#
        + #""counts":{"x":1}}],"profiles":[]}"#, "sketches[0] is malformed"
    ),
  ])
  func `rejects a damaged file with the place, and doesn't replace it`(text: String, reason: String) throws {
    try directory.write("state.json", text)
    let store = store()
    let error = #expect(throws: StoreError.self) {
      _ = try store.save(StateItem(StateItem.Key(thing: "a", profile: "p")), until: fleet.deadline)
    }
    #expect(
      error?.description.includes("The state in '\(path)' can't be used: \(reason)") == true,
      "\(error?.description ?? "")")
    #expect(try self.text() == text)
    // It works as soon as the file is removed.
    try directory.remove("state.json")
    #expect(try store.save(StateItem(StateItem.Key(thing: "a", profile: "p")), until: fleet.deadline))
  }

  @Test func `reads damaged files without a trap`() throws {
    try fleet.process([report(1, [8080]), report(2, [22]), report(3, [23])], fleet.detector(store()))
    let whole = try readFile(path, limit: 1 << 20)
    var random = SeededRandom(seed: 7)
    var rejected = 0
    for _ in 0..<400 {
      try directory.write("state.json", damaged(whole, using: &random))
      do throws(StoreError) {
        _ = try active()
      } catch {
        rejected += 1
      }
    }
    #expect(rejected > 200)
  }

  @Test func `refuses a link, a directory that is missing, and one that another process holds`() throws {
    try #require(unsafe symlink("/dev/null", path) == 0)
    let error = #expect(throws: StoreError.self) { _ = try store().profiles(until: fleet.deadline) }
    #expect(error?.description.includes("'\(path)' can't be read") == true)
    try directory.remove("state.json")
    let elsewhere = FileStore("\(directory.path)/none/state.json", retention: .seconds(1), time: fleet.time)
    let missing = #expect(throws: StoreError.self) { _ = try elsewhere.profiles(until: fleet.deadline) }
    #expect(missing?.description.includes("its directory can't be opened") == true)
    let holder = try PrivateDirectory(directory.path)
    // The deadline has passed, so nothing is waited for.
    let held = #expect(throws: StoreError.self) { _ = try store().profiles(until: fleet.time.bootTime) }
    #expect(held?.description.includes("another process holds the lock") == true)
    #expect(try holder.read("state.json", limit: 1) == nil)
  }
}
