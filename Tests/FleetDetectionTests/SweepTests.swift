import FleetDetection
import Platform
import TestSupport
import Testing
import WireFormats

struct `The sweep` {
  @Test func `invalidates the alarms of a profile that was removed`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [8080])])
    fleet.files = []
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm", "alarm-invalidated"])
    #expect(fleet.item()?.needsAttention == false)
  }

  @Test func `keeps the alarms of a profile that is disabled by a mistake`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [8080])])
    fleet.files = [.success(ProfileDocument(name: "p0", text: Array("{".utf8)))]
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
  }

  @Test func `invalidates the alarms of a disabled profile before their item expires`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [8080])])
    fleet.files = [.success(ProfileDocument(name: "p0", text: Array("{".utf8)))]
    fleet.time.advance(by: .seconds(29 * 86_400 - 1))
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
    fleet.time.advance(by: .seconds(1))
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm", "alarm-invalidated"])
  }

  @Test func `invalidates an alarm after two days without the metric`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [8080])])
    fleet.time.wallTime = WallTime(secondsSinceEpoch: 1_700_000_001 + 2 * 86_400)
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
    fleet.time.wallTime = WallTime(secondsSinceEpoch: 1_700_000_002 + 2 * 86_400)
    let counts = try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm", "alarm-invalidated"])
    #expect(counts.events.values.reduce(0, +) == 1)
  }
}

struct `The sweep, if something fails` {
  private static let target = "arn:aws:sns:eu-west-1:123456789012:alarms"
  private let fleet = FleetFixture()

  /// Raises alarms of `count` things that can't be delivered, and waits until the sweep may deliver them.
  private func raise(_ count: Int) throws {
    fleet.delivery.failure = DeliveryError("SNS is down.")
    try fleet.process((0..<count).map { report(1, [8080], thing: "pump-\($0)") })
    fleet.delivery.failure = nil
    fleet.time.advance(by: .seconds(61))
  }

  @Test func `asks a target that failed once, and delivers to the others`() throws {
    try raise(5)
    let before = fleet.delivery.attempts
    fleet.delivery.broken = [Self.target]
    let counts = try fleet.sweep()
    #expect(fleet.delivery.attempts - before == 5 && counts.undelivered == 5)
    // The topic of AWS IoT has them, and doesn't get them again.
    #expect(fleet.delivery.events.count == 5)
    #expect(fleet.delivery.entries.dropFirst().allSatisfy { $0.targets.isEmpty })
    #expect(fleet.item("pump-0")?.outbox.map(\.targets) == [[Self.target]])
    fleet.delivery.broken = []
    fleet.time.advance(by: .seconds(61))
    #expect(try fleet.sweep().undelivered == 0)
    #expect(fleet.delivery.events.count == 10 && fleet.delivery.entries.suffix(5).allSatisfy(\.isPublished))
    #expect(fleet.store.history.count == 5 && fleet.item("pump-0")?.outbox == [])
  }

  @Test func `drops the events of a removed profile that can't be delivered for a day`() throws {
    try raise(1)
    fleet.delivery.broken = [Self.target]
    fleet.files = []
    try fleet.sweep()
    fleet.time.advance(by: .seconds(86_399))
    #expect(try fleet.sweep().undelivered == 2)
    #expect(fleet.item("pump-0")?.outbox.count == 2)
    fleet.time.advance(by: .seconds(1))
    #expect(try fleet.sweep().undelivered == 0)
    #expect(fleet.item("pump-0")?.needsAttention == false)
    #expect(fleet.store.history.map(\.type) == ["in-alarm", "alarm-invalidated"])
    #expect(fleet.log.lines.count { $0.contains("Drops 2 events of the thing 'pump-0'") } == 1)
  }

  @Test func `keeps the events of a profile that still exists`() throws {
    try raise(1)
    fleet.delivery.broken = [Self.target]
    fleet.time.advance(by: .seconds(86_401))
    #expect(try fleet.sweep().undelivered == 1 && fleet.item("pump-0")?.outbox.count == 1)
  }

  @Test func `doesn't ask a target that failed in the same batch again`() throws {
    fleet.delivery.broken = [Self.target, OutboxEntry.iotTarget]
    try fleet.process((0..<50).map { report(1, [8080], thing: "pump-\($0)") })
    #expect(fleet.delivery.attempts == 1)
  }

  @Test func `delivers waiting events to the targets that the profile has now`() throws {
    fleet.delivery.broken = [Self.target]
    try fleet.process([report(1, [8080])])
    let other = Self.target.replacing(":alarms", with: ":others")
    let text = FleetFixture.ports.replacing(Self.target, with: other)
    fleet.files = [.success(ProfileDocument(name: "p0", text: Array(text.utf8)))]
    fleet.time.advance(by: .seconds(61))
    try fleet.sweep()
    #expect(fleet.delivery.entries.last?.targets == [other] && fleet.item()?.outbox == [])
  }

  @Test func `ends at the deadline as usual, and leaves silent things their share`() throws {
    try raise(20)
    fleet.silence = .seconds(600)
    fleet.time.advance(by: .seconds(1_000))
    // Each attempt takes longer than the sweep has.
    fleet.delivery.time = fleet.time
    fleet.delivery.patience = .seconds(40)
    fleet.delivery.broken = [Self.target, OutboxEntry.iotTarget]
    let counts = try fleet.sweep()
    #expect(counts.events.contains { $0.key.behavior == "reports-missing" && $0.value == 20 })
    #expect(fleet.log.lines.contains { $0.includes("no time for the rest of the active alarms") })
  }

  @Test func `raises the alarms of silent things although the index of alarms fails, and counts them`() throws
  {
    try fleet.process([report(1, [22])])
    fleet.silence = .seconds(600)
    fleet.time.advance(by: .seconds(1_000))
    let contended = ContendedStore(fleet.store)
    let failure = StoreError("Query on the index 'attention' failed.")
    contended.attentionFailure = failure
    var counts = FleetCounts()
    #expect(throws: failure) { try fleet.detector(contended).sweep(&counts, until: fleet.deadline) }
    #expect(fleet.delivery.types == ["in-alarm"] && counts.events.values.reduce(0, +) == 1)
  }

  @Test func `skips an item that the store rejects, and names it`() throws {
    try fleet.process([report(1, [8080]), report(1, [8080], thing: "pump-2")])
    fleet.files = []
    let contended = ContendedStore(fleet.store)
    contended.rejectedThing = "pump-1"
    try fleet.sweep(contended)
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1", "pump-2", "pump-2"])
    #expect(fleet.log.lines.contains { $0.includes("skips the thing 'pump-1'") && $0.includes("400 KB") })
  }
}

struct `A silent thing` {
  @Test func `raises an alarm once, which the next report clears`() throws {
    let fleet = FleetFixture()
    fleet.silence = .seconds(600)
    try fleet.process([report(1, [22])])
    // Reports of the last 300 s may not have been written.
    fleet.time.advance(by: .seconds(900))
    try fleet.sweep()
    #expect(fleet.delivery.types == [])
    fleet.time.advance(by: .seconds(1))
    try fleet.sweep()
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
    #expect(
      fleet.item()?.alarms.first.map { String(decoding: $0.json, as: UTF8.self).includes("reports-missing") }
        == true)
    try fleet.process([report(1, [22])])
    #expect(fleet.delivery.types == ["in-alarm"])
    try fleet.process([report(2, [22])])
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
    #expect(Set(fleet.delivery.events.map(\.id)).count == 1 && fleet.item()?.needsAttention == false)
  }

  @Test func `ends its alarm before its item expires, and raises none again`() throws {
    let fleet = FleetFixture()
    fleet.silence = .seconds(600)
    fleet.retention = .seconds(3 * 86_400)
    try fleet.process([report(1, [22])])
    fleet.time.advance(by: .seconds(1_000))
    try fleet.sweep()
    fleet.time.advance(by: .seconds(2 * 86_400 - 1))
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
    for _ in 1...3 {
      fleet.time.advance(by: .seconds(60))
      try fleet.sweep()
    }
    #expect(fleet.delivery.types == ["in-alarm", "alarm-invalidated"])
    #expect(Set(fleet.delivery.events.map(\.id)).count == 1 && fleet.item()?.needsAttention == false)
  }

  @Test func `raises none while it reports, also if nothing else changes`() throws {
    let fleet = FleetFixture()
    fleet.silence = .seconds(600)
    for number in 1...20 {
      try fleet.process([report(number, [22])])
      fleet.time.advance(by: .seconds(299))
      try fleet.sweep()
    }
    #expect(fleet.delivery.types == [])
  }

  @Test func `raises no alarm without the option, and none after its profile was removed`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [22])])
    fleet.time.advance(by: .seconds(100_000))
    try fleet.sweep()
    #expect(fleet.delivery.types == [])
    fleet.silence = .seconds(600)
    try fleet.sweep()
    fleet.files = []
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm", "alarm-invalidated"])
  }
}
