import Detection
import FleetDetection
import Platform
import TestSupport
import Testing
import WireFormats

struct `A fleet's detector` {
  @Test func `raises and clears an alarm across batches, and lists it meanwhile`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [22]), report(2, [22, 8080])])
    #expect(fleet.delivery.types == ["in-alarm"])
    #expect(fleet.item()?.alarms.map(\.id) == fleet.delivery.events.map(\.id))
    #expect(fleet.item()?.outbox == [])
    try fleet.process([report(3, [443])])
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
    #expect(Set(fleet.delivery.events.map(\.id)).count == 1)
    #expect(fleet.item()?.alarms == [])
    #expect(fleet.store.history.map(\.type) == ["in-alarm", "alarm-cleared"])
    #expect(fleet.delivery.entries[0].targets == ["arn:aws:sns:eu-west-1:123456789012:alarms"])
  }

  @Test func `writes nothing for reports that change nothing, except the time once an hour`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [22])])
    #expect(fleet.item()?.version == 1)
    try fleet.process([report(2, [22]), report(3, [443])])
    #expect(fleet.item()?.version == 1)
    fleet.time.advance(by: .seconds(3_600))
    try fleet.process([report(4, [22])])
    #expect(fleet.item()?.version == 2)
  }

  @Test func `lists the last violation of an alarm, at most a quarter of an hour late`() throws {
    let fleet = FleetFixture()
    func alarm() throws -> (ports: String, last: UInt64?, start: UInt64?) {
      let json = try JSONValue(parsing: try #require(fleet.item()?.alarms.first).json)
      let ports = json["lastViolationValue"]?["ports"]?.array ?? []
      return (
        "\(ports)", json["lastViolationTime"]?.integer(), json["violationStartTime"]?.integer()
      )
    }
    try fleet.process([report(0, [22, 8080])])
    let version = try #require(fleet.item()).version
    try fleet.process([report(600, [22, 8081])])
    #expect(try alarm().last == 1_700_000_000 && fleet.item()?.version == version)
    try fleet.process([report(900, [22, 8082]), report(901, [22, 8083])])
    #expect(try alarm() == ("[WireFormats.JSONValue.number(\"8083\")]", 1_700_000_901, 1_700_000_000))
    #expect(fleet.item()?.version == version + 1 && fleet.delivery.types == ["in-alarm"])
    try fleet.process([report(902, [22])])
    #expect(fleet.item()?.alarms == [])
  }

  @Test func `doesn't take a conforming report during an alarm for a violation`() throws {
    let fleet = FleetFixture([
      FleetFixture.ports.replacing(#""criteria":{"#, with: #""criteria":{"consecutiveDatapointsToClear":3,"#)
    ])
    try fleet.process([report(0, [8080])])
    try fleet.process([report(1_000, [22])])
    let json = try JSONValue(parsing: try #require(fleet.item()?.alarms.first).json)
    #expect(json["lastViolationTime"]?.integer() == 1_700_000_000)
  }

  @Test func `saves a learned baseline with each report`() throws {
    let fleet = FleetFixture([
      """
      {"securityProfileName":"ports","behaviors":[
      {"name":"learned","metric":"aws:num-listening-tcp-ports",
       "criteria":{"durationSeconds":300,"mlDetectionConfig":{"confidenceLevel":"HIGH"}}}]}
      """
    ])
    let detector = fleet.detector()
    for number in 1...4 {
      try fleet.process([report(number * 300, [22, 443])], detector)
      #expect(fleet.item()?.version == Int64(number))
    }
    #expect(fleet.delivery.events.isEmpty)
    let state = try #require(fleet.item()).state
    #expect(String(decoding: state.json, as: UTF8.self).contains(#""baseline":{"#))
    #expect(!fleet.log.lines.contains { $0.contains("'learned'") })
  }

  @Test func `evaluates the reports of a batch in the order of their ids`() throws {
    let fleet = FleetFixture([
      FleetFixture.ports.replacing(#""criteria":{"#, with: #""criteria":{"consecutiveDatapointsToAlarm":2,"#)
    ])
    let outcome = try fleet.process([report(2, [8080]), report(1, [8080])])
    #expect(outcome.counts.late == 0 && fleet.delivery.types == ["in-alarm"])
  }

  @Test func `ignores duplicates and late reports, and counts them`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(5, [8080])])
    let outcome = try fleet.process([report(5, [8080]), report(4, [22]), report(6, [8080])])
    #expect(outcome.failures.isEmpty)
    #expect(outcome.counts.late == 2 && outcome.counts.evaluated == 1)
    #expect(fleet.delivery.types == ["in-alarm"])
  }

  @Test func `evaluates again if another process was faster, and loses neither change`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.beforeSave = [{ try fleet.process([report(1, [8080])]) }]
    let outcome = try fleet.process([report(2, [8080]), report(3, [22])], fleet.detector(contended))
    #expect(outcome.failures.isEmpty && outcome.counts.conflicts == 1)
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
    #expect(fleet.delivery.events.first?.time == 1_700_000_001)
    #expect(Set(fleet.delivery.events.map(\.id)).count == 1)
    // Each process wrote an alarm, and emptied the outbox.
    #expect(fleet.item()?.version == 4)
  }

  @Test func `gives up on a contended item before the deadline, and has its records delivered again`() throws
  {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.beforeSave = (1...10_000).map { number in
      { try fleet.process([report(number, number % 2 == 0 ? [22] : [8080])]) }
    }
    let end = fleet.deadline
    let outcome = try fleet.process(
      [report(20_000, [8080]), report(20_001, [22])], fleet.detector(contended))
    #expect(outcome.failures[0] != nil && outcome.counts.evaluated == 0)
    #expect(fleet.time.bootTime <= end)
  }

  @Test func `keeps an event that can't be delivered, and the sweep delivers it with the same id`() throws {
    let fleet = FleetFixture()
    fleet.delivery.failure = DeliveryError("SNS is down.")
    let outcome = try fleet.process([report(1, [8080])])
    #expect(outcome.failures.isEmpty && outcome.counts.undelivered == 1)
    let id = try #require(fleet.item()?.alarms.first?.id)
    fleet.delivery.failure = nil
    // The process that wrote it may still be delivering it.
    try fleet.sweep()
    #expect(fleet.delivery.events.isEmpty)
    fleet.time.advance(by: .seconds(61))
    try fleet.sweep()
    #expect(fleet.delivery.events.map(\.id) == [id])
    #expect(fleet.item()?.outbox == [])
    #expect(fleet.log.lines.contains { $0.contains("SNS is down.") })
  }

  @Test func `doesn't evaluate a thing whose undelivered events fill its item`() throws {
    let fleet = FleetFixture()
    fleet.delivery.failure = DeliveryError("SNS is down.")
    let flapping = (1...1_000).map { report($0, $0 % 2 == 0 ? [22] : [8080]) }
    let outcome = try fleet.process(flapping)
    let size =
      fleet.item()?.outbox.reduce(0) { sum, entry in
        sum + entry.event.count + entry.targets.joined().utf8.count
      } ?? 0
    #expect((70_000..<100_000).contains(size))
    #expect(!outcome.failures.isEmpty && outcome.failures[0] == nil)
    fleet.delivery.failure = nil
    fleet.time.advance(by: .seconds(61))
    try fleet.sweep()
    let failed = outcome.failures.keys.sorted().map { flapping[$0] }
    #expect(try fleet.process(failed).failures.isEmpty)
    #expect(fleet.delivery.types == (1...1_000).map { $0 % 2 == 0 ? "alarm-cleared" : "in-alarm" })
  }

  @Test(arguments: [
    "", "{", "[]", #"{"header":{"report_id":1,"version":"1.0"}}"#, #"{"thing":"pump-1"}"#,
    #"{"thing":"pump/1","header":{"report_id":1}}"#, #"{"thing":"pump-1","cbor":"*"}"#,
    #"{"thing":"pump-1","cbor":"oA=="}"#, #"{"thing":7}"#,
    #"{"thing":"pump-1","header":{"report_id":1},"metrics":{"listening_tcp_ports":{"ports":[{"port":70000}]}}}"#,
  ])
  func `fails a malformed record alone`(body: String) throws {
    let fleet = FleetFixture()
    let outcome = try fleet.process([report(1, [8080]), body, report(2, [22])])
    #expect(Array(outcome.failures.keys) == [1])
    #expect(outcome.counts.malformed == 1 && outcome.counts.evaluated == 2)
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
  }

  @Test func `reads CBOR, short names and the thing of a topic`() throws {
    let fleet = FleetFixture()
    let cbor = "omNoZWSiY3JpZAFhdmMxLjBjbWV0oWJ0cKJjcHRzgaFicHQZH5BhdAE="
    try fleet.process([
      #"{"cbor":"\#(cbor)","topic":"$aws/things/pump-9/defender/metrics/cbor","timestamp":1700000000000}"#
    ])
    let event = try #require(fleet.delivery.events.first)
    #expect(event.thing == "pump-9" && event.time == 1_700_000_000)
    #expect(String(decoding: event.json, as: UTF8.self).contains(#""metricValue":{"ports":[8080]}"#))
  }

  @Test func `takes the thing from the rule, not from the device's payload`() throws {
    let fleet = FleetFixture()
    let payload = base64(Array(report(1, [8080], thing: "pump-2").utf8))
    try fleet.process([#"{"payload":"\#(payload)","thing":"pump-1","timestamp":1700000000000}"#])
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1"])
    // The two names that a result of SELECT * could have.
    let twice = #"{"thing":"pump-2","# + report(2, [22]).dropFirst()
    let outcome = try fleet.process([twice, #"{"th\u0069ng":"pump-2","# + report(3, [22]).dropFirst()])
    #expect(outcome.counts.malformed == 2 && fleet.delivery.events.count == 1)
    #expect(outcome.failures[0]?.reason.includes("malformed at byte") == true)
  }

  @Test func `counts reports of things without a profile`() throws {
    let fleet = FleetFixture()
    let outcome = try fleet.process([report(1, [8080], thing: "valve-1")])
    #expect(outcome.failures.isEmpty && outcome.counts.unmatched == 1 && outcome.counts.evaluated == 0)
    #expect(fleet.store.states.isEmpty)
  }

  @Test func `has all records delivered again if the store fails, and asks it once`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.failure = StoreError("BatchGetItem on the table 'fleet' failed.")
    let bodies = (0..<250).map { report(1, [8080], thing: "pump-\($0)") }
    let outcome = try fleet.process(bodies, fleet.detector(contended))
    #expect(outcome.failures.count == 250 && contended.reads == 1)
    #expect(fleet.log.lines.contains { $0.contains("'fleet'") })
  }

  @Test func `delivers at once if the answer to its write was lost`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.losesAnswers = true
    let outcome = try fleet.process([report(1, [8080]), report(2, [22])], fleet.detector(contended))
    #expect(outcome.failures.isEmpty && outcome.counts.evaluated == 2 && outcome.counts.late == 0)
    #expect(fleet.delivery.types == ["in-alarm", "alarm-cleared"])
    #expect(outcome.counts.events.values.reduce(0, +) == 2 && fleet.item()?.outbox == [])
  }

  @Test func `fails the records of an item that the store rejects, and only these`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.rejectedThing = "pump-2"
    let bodies = (1...3).map { report(1, [8080], thing: "pump-\($0)") }
    let outcome = try fleet.process(bodies, fleet.detector(contended))
    #expect(Array(outcome.failures.keys) == [1])
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1", "pump-3"])
    #expect(fleet.log.lines.contains { $0.includes("ERROR") && $0.includes("'pump-2'") })
  }

  @Test func `delivers an event that the history rejects, and names its thing`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.rejectedEventThing = "pump-2"
    let bodies = (1...3).map { report(1, [8080], thing: "pump-\($0)") }
    #expect(try fleet.process(bodies, fleet.detector(contended)).failures.isEmpty)
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1", "pump-2", "pump-3"])
    #expect(fleet.store.history.map(\.thing) == ["pump-1", "pump-3"])
    #expect(fleet.log.lines.contains { $0.includes("ERROR") && $0.includes("'pump-2'") })
  }

  @Test func `delivers what was saved if the store fails in the middle of a batch`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.failingSave = 2
    let bodies = [report(1, [8080]), report(1, [8080], thing: "pump-2"), report(1, [8080], thing: "pump-3")]
    let outcome = try fleet.process(bodies, fleet.detector(contended))
    #expect(outcome.failures.count == 3)
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1"])
    try fleet.process(bodies, fleet.detector(contended))
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1", "pump-2", "pump-3"])
  }

  @Test func `accepts reports that change nothing if only their time can't be written`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    contended.failingSave = 0
    #expect(try fleet.process([report(1, [22])], fleet.detector(contended)).failures.isEmpty)
    #expect(fleet.log.lines.contains { $0.includes("WARN") && $0.includes("'fleet'") })
  }

  @Test func `evaluates a batch of 10,000 reports, 100 things at a time`() throws {
    let fleet = FleetFixture()
    let contended = ContendedStore(fleet.store)
    let bodies = (0..<10_000).map { report(1, $0 % 100 == 0 ? [8080] : [22], thing: "pump-\($0)") }
    let outcome = try fleet.process(bodies, fleet.detector(contended))
    #expect(outcome.failures.isEmpty && outcome.counts.evaluated == 10_000)
    #expect(contended.reads == 100 && contended.saves == 100)
    #expect(fleet.delivery.events.count == 100)
  }

  @Test func `doesn't send suppressed alerts to SNS, but keeps them in the history`() throws {
    let suppressed = FleetFixture.ports.replacing(
      #""name":"open""#, with: #""name":"open","suppressAlerts":true"#)
    let fleet = FleetFixture([suppressed])
    try fleet.process([report(1, [8080])])
    #expect(fleet.delivery.entries.map(\.targets) == [[]])
    #expect(fleet.store.history.count == 1)
  }

  @Test func `disables a malformed profile, says so, and evaluates the others`() throws {
    let fleet = FleetFixture([FleetFixture.ports, #"{"profile":{"behaviors":7}}"#])
    try fleet.process([report(1, [8080])])
    #expect(fleet.delivery.types == ["in-alarm"])
    #expect(fleet.log.lines.contains { $0.contains("'p1' is disabled") && $0.contains("ERROR") })
  }

  @Test func `uses changed profiles after a minute`() throws {
    let fleet = FleetFixture()
    let detector = fleet.detector()
    try fleet.process([report(1, [22])], detector)
    let changed = FleetFixture.ports.replacing("[22,443]", with: "[443]")
    fleet.files = [.success(ProfileDocument(name: "p0", text: Array(changed.utf8)))]
    try fleet.process([report(2, [22])], detector)
    #expect(fleet.delivery.types == [])
    fleet.time.advance(by: .seconds(60))
    try fleet.process([report(3, [22])], detector)
    #expect(fleet.delivery.types == ["in-alarm"])
  }
}

struct `Errors about records` {
  @Test(arguments: [
    #"{"thing":"pump-1","header":{"report_id":1,"version":"s3cret"}}"#,
    #"{"thing":"pump-1","header":{"report_id":1},"metrics":{"listening_tcp_ports":{"ports":"s3cret"}}}"#,
    #"{"thing":"pump-1","header":{"report_id":"s3cret"}}"#, #"{"thing":"pump-1","timestamp":"s3cret"}"#,
  ])
  func `don't repeat what a report contains`(body: String) throws {
    let fleet = FleetFixture()
    let failure = try #require(try fleet.process([body]).failures[0])
    #expect(failure.reason.includes("malformed at byte"))
    #expect(!failure.reason.includes("s3cret"))
    #expect(!fleet.log.lines.contains { $0.includes("s3cret") })
  }
}
