import AgentTestSupport
import DefenderAgent
import Foundation
import Platform
import TestSupport
import Testing
import WireFormats

/// Returns the variables of a spool in `tree`.
private func spool(in tree: TemporaryDirectory, bytes: Int = 1_000_000) throws -> [String: String] {
  try variables(ofStateIn: tree).merging(["DEFENDER_SPOOL_BYTES": "\(bytes)"]) { $1 }
}

/// Returns the names of the files in the spool in `tree`, in their order.
private func files(in tree: TemporaryDirectory) -> [String] {
  ((try? FileManager.default.contentsOfDirectory(atPath: "\(tree.path)/state/spool")) ?? []).sorted()
}

/// Makes one report for each element of `bytes`, the value of the counter.
private func makeReports(
  _ stage: inout LoopStage, bytes: [Int], areAcknowledged: Bool,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  for value in bytes {
    try setBytesIn(value, in: stage.procfs)
    stage.publisher.acknowledgements = areAcknowledged ? [] : [false]
    let outcome = try stage.attempt(seconds: areAcknowledged ? 900 : 5)
    #expect((outcome.failed == 0) == areAcknowledged, sourceLocation: sourceLocation)
    stage.time.advance(by: .seconds(300))
  }
}

/// Removes what ``ScriptedPublisher`` received before `count` messages.
private func last<Element>(_ elements: [Element], after count: Int) -> [Element] {
  Array(elements.dropFirst(count))
}

@Suite struct `The agent's spool` {
  @Test func `keeps unsent reports, and publishes them in order, before newer ones`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: [1_000], areAcknowledged: true)
    try makeReports(&stage, bytes: [1_010, 1_030, 1_060], areAcknowledged: false)
    #expect(files(in: tree).count == 3)
    // The first attempt of each outage publishes the new report, later ones the oldest.
    let attempts = stage.publisher.reportIDs
    #expect(attempts[1] == attempts[2] && attempts[2] == attempts[3])
    try setBytesIn(1_100, in: tree)
    let outcome = try stage.run(seconds: 900)
    #expect(outcome.published == 4 && outcome.waiting == 0 && outcome.dropped == 0)
    #expect(files(in: tree) == [])
    let ids = last(stage.publisher.reportIDs, after: 4)
    #expect(ids.count == 4 && ids == ids.sorted() && ids.first == attempts[1])
    // No byte twice, and none lost.
    #expect(last(stage.publisher.bytesIn, after: 4) == [10, 20, 30, 40])
    #expect(stage.publisher.announced.suffix(4).map(Int.init) == ids)
    #expect(stage.lines.text.contains("The spool is empty."))
    // The next report is published at once.
    try makeReports(&stage, bytes: [1_500], areAcknowledged: true)
    #expect(stage.publisher.bytesIn.last == 400)
  }

  @Test func `publishes one more report every one to two seconds between two slots`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    stage.publisher.timeTaken = .zero
    try makeReports(&stage, bytes: Array(1_000..<1_020), areAcknowledged: false)
    stage.publisher.acknowledgements = []
    var moments: [BootTime] = []
    let time = stage.time
    stage.publisher.whilePublishing = { moments.append(time.bootTime) }
    let outcome = try stage.run(plan(reports: 2, interval: nil), seconds: 900)
    #expect(outcome.published == 22 && outcome.waiting == 0)
    let pauses = zip(moments, moments.dropFirst()).map { $0.duration(to: $1) }
    #expect(pauses.count == 21)
    #expect(pauses.prefix(20).allSatisfy { $0 >= .seconds(1) && $0 <= .seconds(2) }, "\(pauses)")
    #expect(Set(pauses.prefix(20)).count > 10)
    // The last one is the new report in its slot.
    #expect(try #require(pauses.last) > .seconds(250))
  }

  @Test func `empties even if the interval is shorter than the pauses`() throws {
    let tree = try TemporaryDirectory()
    let more = ["SAMPLE_INTERVAL_SECONDS": "1", "DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"]
    var stage = try LoopStage(spool(in: tree).merging(more) { $1 }, over: tree)
    stage.publisher.timeTaken = .zero
    stage.publisher.acknowledgements = [false, false, false]
    let outcome = try stage.attempt(plan(reports: 20), seconds: 60)
    #expect(outcome.failed == 3 && outcome.published == 20)
    #expect(outcome.waiting == 0 && files(in: tree) == [])
  }

  @Test func `stops after a failure until a report in its slot was published`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: Array(1_000..<1_005), areAcknowledged: false)
    stage.publisher.acknowledgements = [true, true, false]
    let before = stage.publisher.payloads.count
    let outcome = try stage.attempt(seconds: 400)
    #expect(outcome.published == 2 && outcome.failed == 1 && outcome.waiting == 4)
    #expect(stage.publisher.payloads.count == before + 3)
  }

  @Test func `wakes nothing up while it is empty, and writes no file`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    let start = stage.time.bootTime
    try stage.run(plan(reports: 3), seconds: 900)
    #expect(stage.time.wakeUps.count == 3)
    #expect(stage.time.wakeUps.last == start.advanced(by: .seconds(600)))
    #expect(!FileManager.default.fileExists(atPath: "\(tree.path)/state/spool"))
  }

  @Test func `publishes leftovers within the deadline of an invocation, and keeps the rest`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: Array(1_000..<1_010), areAcknowledged: false)
    stage.publisher.acknowledgements = []
    let start = stage.time.bootTime
    let outcome = try stage.run(seconds: 6)
    #expect(start.duration(to: stage.time.bootTime) <= .seconds(6))
    #expect((3...6).contains(outcome.published))
    #expect(outcome.waiting == 11 - Int(outcome.published) && outcome.ended == .reports)
    #expect(outcome.description.hasSuffix("; \(outcome.waiting) waiting in the spool"))
  }

  @Test func `is never larger than its limit, and drops the oldest reports`() throws {
    let tree = try TemporaryDirectory()
    let longLists = ["DEFENDER_MAX_LIST_SIZE": "1000"]
    var stage = try LoopStage(spool(in: tree, bytes: 65_536).merging(longLists) { $1 }, over: tree)
    // Reports of some 5,000 bytes.
    var sockets = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    for port in 0x1000..<0x1190 {
      sockets +=
        "   0: 0100007F:\(String(port, radix: 16, uppercase: true)) 00000000:0000 07 00000000:00000000 "
      sockets += "00:00000000 00000000 0 0 \(port) 2 0000000000000000 0\n"
    }
    try tree.write("net/udp", sockets)
    try makeReports(&stage, bytes: [1_000], areAcknowledged: true)
    var dropped: UInt64 = 0
    for value in 1_001...1_060 {
      try setBytesIn(value, in: tree)
      stage.publisher.acknowledgements = [false]
      dropped += try stage.attempt(seconds: 5).dropped
      stage.time.advance(by: .seconds(300))
      var size = 0
      for name in files(in: tree) {
        size += try readFile("\(tree.path)/state/spool/\(name)", limit: 100_000).count
      }
      #expect(size <= 65_536)
    }
    let waiting = files(in: tree)
    #expect((5...30).contains(waiting.count) && dropped == UInt64(60 - waiting.count), "\(waiting.count)")
    // Once an hour: the drops of five hours at most.
    #expect((1...6).contains(stage.lines.text.components(of: "the oldest, because")))
    stage.publisher.acknowledgements = []
    let before = stage.publisher.payloads.count
    try setBytesIn(1_060, in: tree)
    try stage.run(seconds: 900)
    // The newest ones are there: each has a byte of traffic.
    let deltas = last(stage.publisher.bytesIn, after: before)
    #expect(deltas.dropLast().allSatisfy { $0 == 1 } && deltas.last == 0)
  }

  @Test func `is off for an hour after a write failed, and the next report includes the traffic`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: [1_000], areAcknowledged: true)
    // A file in place of the directory.
    try tree.write("state/spool", "")
    try makeReports(&stage, bytes: [1_010, 1_020, 1_030], areAcknowledged: false)
    #expect(stage.lines.text.components(of: "can't be written to") == 1)
    #expect(
      stage.lines.text.contains("\tThe spool in \(tree.path)/state can't be written to: Not a directory"))
    try makeReports(&stage, bytes: [1_040], areAcknowledged: true)
    #expect(stage.publisher.bytesIn.last == 40)
    try tree.remove("state/spool")
    try makeReports(&stage, bytes: [1_050], areAcknowledged: false)
    #expect(files(in: tree) == [])
    stage.time.advance(by: .seconds(3_600))
    try makeReports(&stage, bytes: [1_060], areAcknowledged: false)
    #expect(files(in: tree).count == 1)
  }

  @Test func `removes a file that couldn't be written completely`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: [1_000], areAcknowledged: true)
    try makeReports(&stage, bytes: [1_010], areAcknowledged: false)
    // A directory in place of the next temporary file.
    let name = String(format: "%020d.report.new", 1_700_000_600 + 1)
    try tree.write("state/spool/\(name)/x", "")
    stage.time.wallTime = WallTime(secondsSinceEpoch: 1_700_000_601)
    try makeReports(&stage, bytes: [1_020], areAcknowledged: false)
    #expect(files(in: tree).count == 2)
    #expect(stage.lines.text.components(of: "can't be written to") == 1)
    // The report couldn't wait, so it was tried at once, before the older one.
    try makeReports(&stage, bytes: [1_030], areAcknowledged: true)
    let deltas = stage.publisher.bytesIn
    #expect(deltas.suffix(2) == [20, 10])
  }

  /// Until the state is saved, only the report's file shows the next process that its traffic was counted.
  @Test func `publishes a report only when the saved state has its baseline`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: [1_000], areAcknowledged: true)
    // From the first attempt on, no state can be saved.
    stage.publisher.whilePublishing = { _ = try? tree.write("state/state.json.new/x", "") }
    try makeReports(&stage, bytes: [1_010], areAcknowledged: false)
    stage.publisher.whilePublishing = {}
    let waiting = files(in: tree)
    #expect(waiting.count == 1)
    #expect(savedState(in: tree)["baseline_if_spooled"] != nil)
    try makeReports(&stage, bytes: [1_030], areAcknowledged: true)
    #expect(stage.publisher.bytesIn == [nil, 10, 20])
    #expect(files(in: tree) == waiting)
    try tree.remove("state/state.json.new/x")
    #expect(unsafe rmdir("\(tree.path)/state/state.json.new") == 0)
    try makeReports(&stage, bytes: [1_060], areAcknowledged: true)
    #expect(stage.publisher.bytesIn == [nil, 10, 20, 10, 30])
    #expect(files(in: tree) == [])
  }

  @Test func `continues after a restart, with the saved baseline and the next id`() throws {
    let tree = try TemporaryDirectory()
    let variables = try spool(in: tree)
    var first = try LoopStage(variables, over: tree)
    try makeReports(&first, bytes: [1_000], areAcknowledged: true)
    try makeReports(&first, bytes: [1_010, 1_030], areAcknowledged: false)
    _ = consume first
    // After the restart, the clock is behind.
    let ids = files(in: tree)
    var second = try LoopStage(variables, over: tree)
    second.time.wallTime = WallTime(secondsSinceEpoch: 1_600_000_000)
    try setBytesIn(1_100, in: tree)
    let outcome = try second.run(seconds: 900)
    #expect(outcome.published == 3)
    #expect(second.publisher.bytesIn == [10, 20, 70])
    #expect(second.publisher.reportIDs.last == second.publisher.reportIDs.dropLast().last.map { $0 + 1 })
    #expect(second.lines.text.contains("Found 2 reports of an earlier process in the spool."))
    #expect(ids.count == 2)
  }

  @Test func `uses no id twice even if the saved state is lost`() throws {
    let tree = try TemporaryDirectory()
    let variables = try spool(in: tree)
    var first = try LoopStage(variables, over: tree)
    try makeReports(&first, bytes: [1_000], areAcknowledged: true)
    try makeReports(&first, bytes: [1_010], areAcknowledged: false)
    _ = consume first
    try tree.remove("state/state.json")
    var second = try LoopStage(variables, over: tree)
    second.time.wallTime = WallTime(secondsSinceEpoch: 1_600_000_000)
    try second.run(seconds: 900)
    let ids = second.publisher.reportIDs
    #expect(ids.count == 2 && ids[1] == ids[0] + 1)
    // Without a baseline, the new report has no delta.
    #expect(second.publisher.bytesIn == [10, nil])
  }

  @Test func `that is turned off keeps its reports, and counts nothing twice when it is turned on again`()
    throws
  {
    let tree = try TemporaryDirectory()
    let variables = try spool(in: tree)
    var first = try LoopStage(variables, over: tree)
    try makeReports(&first, bytes: [1_000], areAcknowledged: true)
    // The process ends before it saves the state after the report's file.
    var reserved: [UInt8] = []
    first.publisher.whilePublishing = {
      reserved = (try? readFile("\(tree.path)/state/state.json", limit: 65_536)) ?? []
    }
    try makeReports(&first, bytes: [1_010], areAcknowledged: false)
    _ = consume first
    try tree.write("state/state.json", reserved)
    var second = try LoopStage(try DefenderAgentTests.variables(ofStateIn: tree), over: tree)
    try setBytesIn(1_030, in: tree)
    try second.run()
    #expect(second.publisher.bytesIn == [20])
    #expect(second.lines.text.contains("has 1 report, but DEFENDER_SPOOL_BYTES is 0, so"))
    #expect(files(in: tree).count == 1)
    _ = consume second
    var third = try LoopStage(variables, over: tree)
    third.time.advance(by: .seconds(10_000))
    try setBytesIn(1_060, in: tree)
    try third.run()
    #expect(third.publisher.bytesIn == [10, 30])
  }

  @Test func `removes damaged files with one line each, and counts them`() throws {
    let tree = try TemporaryDirectory()
    let variables = try spool(in: tree)
    var first = try LoopStage(variables, over: tree)
    try makeReports(&first, bytes: [1_000, 1_010, 1_030, 1_060, 1_100].map { $0 }, areAcknowledged: false)
    _ = consume first
    let names = files(in: tree)
    #expect(names.count == 5)
    let contents = try names.map { try readFile("\(tree.path)/state/spool/\($0)", limit: 65_536) }
    try tree.write("state/spool/\(names[0])", Array(contents[0].dropLast()))
    try tree.write("state/spool/\(names[1])", contents[1].dropLast() + [contents[1].last.map { $0 ^ 1 } ?? 0])
    try tree.write("state/spool/\(names[2])", contents[3])
    try tree.write("state/spool/\(names[3])", [])
    try tree.write("state/spool/\(names[4]).new", Array(contents[4].prefix(30)))
    try tree.write("state/spool/99999999999999999999.report", contents[4])
    try tree.write("state/spool/18446744073709551615.report", contents[4])
    try tree.write("state/spool/notes.txt", "mine")
    var second = try LoopStage(variables, over: tree)
    second.time.advance(by: .seconds(10_000))
    let outcome = try second.run(seconds: 900)
    #expect(outcome.published == 2)
    #expect(outcome.dropped == 6)
    #expect(second.lines.text.components(of: "Removed \(tree.path)/state/spool/") == 7)
    #expect(files(in: tree) == ["notes.txt"])
  }

  @Test func `drops reports of another thing`() throws {
    let tree = try TemporaryDirectory()
    let variables = try spool(in: tree)
    var first = try LoopStage(variables, over: tree)
    try makeReports(&first, bytes: [1_000], areAcknowledged: false)
    _ = consume first
    var second = try LoopStage(variables.merging(["AWS_IOT_THING_NAME": "other"]) { $1 }, over: tree)
    second.time.advance(by: .seconds(10_000))
    let outcome = try second.run()
    #expect(outcome.dropped == 1 && outcome.published == 1)
    #expect(second.publisher.topics == ["defender/other/json"])
    #expect(second.lines.text.contains("it describes the thing 'thing', but this one is 'other'"))
  }

  @Test func `drops a report that turns out to be too large, and continues`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    try makeReports(&stage, bytes: [1_000, 1_010], areAcknowledged: false)
    stage.publisher.refusal = .payloadTooLarge(bytes: 2, limit: 1)
    try makeReports(&stage, bytes: [1_030], areAcknowledged: false)
    let before = stage.publisher.payloads.count
    try makeReports(&stage, bytes: [1_060], areAcknowledged: true)
    #expect(last(stage.publisher.bytesIn, after: before) == [10, 20, 30])
    #expect(stage.lines.text.contains("the payload has 2 bytes, but AWS IoT accepts at most 1."))
  }

  @Test(arguments: [
    PublishError.Cause.payloadTooLarge(bytes: 2, limit: 1),
    .transport(TransportFailure(reason: "it is too long", advice: "Send less.", .unacceptable)),
  ])
  func `doesn't keep what is too large to be published`(cause: PublishError.Cause) throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    stage.publisher.refusal = cause
    try makeReports(&stage, bytes: [1_000], areAcknowledged: false)
    #expect(files(in: tree) == [])
  }

  @Test func `ignores reports to Device Defender, and says why`() throws {
    let tree = try TemporaryDirectory()
    let own = [
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}", "DEFENDER_TRANSPORT": "greengrass",
    ]
    var stage = try LoopStage(spool(in: tree).merging(own) { $1 }, over: tree)
    try makeReports(&stage, bytes: [1_000, 1_010], areAcknowledged: false)
    #expect(files(in: tree) == [])
    #expect(
      stage.lines.text.components(of: "DEFENDER_SPOOL_BYTES has no effect on reports to Device Defender") == 1
    )
  }

  @Test func `is shown to the service manager`() throws {
    let tree = try TemporaryDirectory()
    var stage = try LoopStage(spool(in: tree), over: tree)
    var shown: [String] = []
    stage.loop.status = AgentStatus { shown.append($0) }
    stage.publisher.acknowledgements = [false, false]
    try stage.attempt(plan(reports: 2), seconds: 400)
    #expect(shown.last?.contains("; 1 waiting in the spool; ") == true, "\(shown)")
  }

  @Test(arguments: [
    ("x", "is 'x'; expected 0 or a whole number from 65536 to 104857600"), ("-1", "is '-1'; expected"),
    ("65535", "is '65535'; expected"), ("104857601", "is '104857601'; expected"),
    ("65536", "is '65536', but DEFENDER_STATE_DIRECTORY isn't set; set it"),
  ])
  func `rejects a wrong size, and a size without a state directory`(value: String, problem: String) {
    do {
      _ = try Configuration(
        Environment([
          "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "t", "DEFENDER_SPOOL_BYTES": value,
          "DEFENDER_FORMAT": "xml",
        ]))
      Issue.record("it was accepted")
    } catch {
      #expect("\(error)".contains("DEFENDER_SPOOL_BYTES \(problem)"), "\(error)")
      #expect("\(error)".contains("DEFENDER_FORMAT is 'xml'"))
    }
  }
}
