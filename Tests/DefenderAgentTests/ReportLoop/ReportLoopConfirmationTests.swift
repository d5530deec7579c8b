import AgentTestSupport
import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `The report loop and the answers of Device Defender` {
  @Test(arguments: [
    (ReportConfirmation.rejected(code: "Throttled", message: "made up"), [nil, 200, 700]),
    (.rejected(code: "InvalidPayload", message: "made up"), [nil, 200, 700]),
    (.unanswered, [nil, 200, 500]),
  ])
  func `includes the traffic of a rejected report in the next one`(
    confirmation: ReportConfirmation, reported: [Int?]
  ) throws {
    var stage = try LoopStage()
    stage.publisher.confirmations = [.accepted, confirmation, .accepted]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: stage.procfs)
      try stage.run()
    }
    #expect(stage.publisher.bytesIn == reported)
  }

  @Test(arguments: [("0", 0), ("5", 1)])
  func `warns once of missing answers, and not at all if it doesn't wait for them`(
    seconds: String, count: Int
  ) throws {
    var stage = try LoopStage(["DEFENDER_CONFIRMATION_SECONDS": seconds])
    _ = try deltas(&stage, [.unanswered, .unanswered, .unanswered])
    let warnings = stage.lines.text.split(separator: "\n").filter {
      $0.contains("[WARN]") && $0.contains("iot:Receive")
    }
    #expect(warnings.count == count, "\(stage.lines.text)")
  }

  /// Returns the deltas of reports that are made 100 bytes apart and get the given confirmations.
  private func deltas(
    _ stage: inout LoopStage, _ confirmations: [ReportConfirmation], late: [ReportConfirmation?] = []
  ) throws -> [Int?] {
    stage.publisher.confirmations = confirmations
    stage.publisher.lateConfirmations = late
    for number in confirmations.indices {
      try setBytesIn(1_000 + 100 * number, in: stage.procfs)
      try stage.run()
    }
    return stage.publisher.bytesIn
  }

  @Test
  func
    `repeats the traffic of unanswered reports if success proves nothing and earlier reports were answered`()
    throws
  {
    var stage = try LoopStage()
    stage.publisher.provesDelivery = false
    let reported = try deltas(
      &stage, [.unanswered, .unanswered, .accepted, .unanswered, .unanswered, .accepted])
    #expect(reported == [nil, 100, 100, 100, 200, 300])
  }

  @Test func `doesn't fall back to the policy 'publish' if answers can't be received`() throws {
    var stage = try LoopStage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ])
    let unavailable = ReportConfirmation.unavailable(reason: "made up.")
    let reported = try deltas(
      &stage, [.accepted, unavailable, unavailable, unavailable, unavailable, unavailable, .accepted])
    #expect(reported == [nil, 100, 200, 300, 400, 500, 600])
    let warnings = stage.lines.text.split(separator: "\n").filter { $0.contains("repeats the traffic") }
    #expect(warnings.count == 1)
    #expect(warnings.first?.hasSuffix(": made up.") == true)
  }

  @Test func `counts nothing twice if the answer arrives late`() throws {
    var stage = try LoopStage()
    stage.publisher.provesDelivery = false
    let reported = try deltas(
      &stage, [.accepted, .unanswered, .unanswered, .unanswered, .accepted],
      late: [.accepted, nil, .rejected(code: "c", message: "m")])
    // The second report was accepted late, the third was never answered, and the fourth was rejected late.
    #expect(reported == [nil, 100, 100, 200, 300])
    #expect(stage.lines.text.contains("Device Defender rejected report"))
  }

  @Test func `repeats the traffic of spooled reports until one is answered, without warnings`() throws {
    var stage = try LoopStage()
    stage.publisher.provesDelivery = false
    let reported = try deltas(
      &stage, [.accepted, .spooled, .spooled, .spooled, .spooled, .accepted],
      late: [nil, nil, nil, .accepted])
    // The fifth report was answered late.
    #expect(reported == [nil, 100, 200, 300, 400, 100])
    #expect(!stage.lines.text.contains("[WARN]"), "\(stage.lines.text)")
    #expect(stage.lines.text.components(of: "Spooled report") == 4)
    #expect(stage.lines.text.components(of: "Published report") == 2)
  }

  @Test func `counts spooled reports apart from published and unanswered ones`() throws {
    var stage = try LoopStage()
    stage.publisher.confirmations = [.spooled, .spooled]
    let outcome = try stage.run(plan(reports: 2))
    #expect(outcome.spooled == 2 && outcome.published == 0 && outcome.failed == 0)
    #expect(outcome.confirmations.unanswered == 0)
    #expect(outcome.description == "0 reports published, 2 spooled, 0 failed")
  }

  @Test func `remembers across a restart that Device Defender answers`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state", "DEFENDER_JITTER": "0"]
    var first = try LoopStage(variables, over: tree)
    first.publisher.provesDelivery = false
    let before = try deltas(&first, [.accepted, .accepted])
    #expect(before == [nil, 100])
    _ = consume first  // It held the directory.
    var second = try LoopStage(variables, over: tree)
    second.publisher.provesDelivery = false
    second.publisher.confirmations = [.unanswered, .accepted]
    try setBytesIn(1_500, in: tree)
    for _ in 0..<2 { try second.run() }
    #expect(second.publisher.bytesIn == [400, 400])
  }

  @Test func `warns that reports to a custom topic get no answers`() throws {
    var stage = try LoopStage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "own/{thing}/{format}",
    ])
    for _ in 0..<2 { try stage.run() }
    #expect(
      stage.lines.text.split(separator: "\n").count {
        $0.contains("[WARN]") && $0.contains("DEFENDER_ACKNOWLEDGE")
      } == 1)
  }

  @Test(arguments: [
    (ReportConfirmation.accepted, [nil, 200, 500]), (.unanswered, [nil, 200, 700]),
    (.rejected(code: "InvalidPayload", message: "made up"), [nil, 200, 700]),
  ])
  func `moves the baseline only when Device Defender accepts a report, if so configured`(
    confirmation: ReportConfirmation, reported: [Int?]
  ) throws {
    var stage = try LoopStage([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "mqtt",
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1", "DEFENDER_TOPIC": "",
    ])
    stage.publisher.confirmations = [.accepted, confirmation, .accepted]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: stage.procfs)
      try stage.run()
    }
    #expect(stage.publisher.bytesIn == reported)
  }

  @Test func `announces each report, and waits for its answer until the deadline at most`() throws {
    var stage = try LoopStage()
    let start = stage.time.bootTime
    let outcome = try stage.run(ReportPlan(reports: 1), seconds: 5)
    #expect(stage.publisher.announced == [1_700_000_000])
    #expect(stage.publisher.deadlines == [start.advanced(by: .seconds(5))])
    #expect(stage.publisher.confirmationDeadlines == [start.advanced(by: .seconds(5))])
    // Nobody answered the report.
    #expect(outcome.confirmations == ReportOutcome.Confirmations())
    try stage.run(ReportPlan(reports: 1), seconds: 900)
    #expect(stage.publisher.deadlines.last == start.advanced(by: .milliseconds(30_100)))
    #expect(stage.publisher.confirmationDeadlines.last == start.advanced(by: .milliseconds(10_200)))
  }
}
