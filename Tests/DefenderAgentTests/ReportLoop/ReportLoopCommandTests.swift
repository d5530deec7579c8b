import AgentTestSupport
import AWSClient
import DefenderAgent
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// Receives the responses and the moments of the reports.
private final class Record {
  var responses: [JSONValue] = []
  var reports: [Int] = []

  /// The members of the responses in turn, without those that are always the same.
  var statuses: [String] { responses.compactMap { $0["status"]?.string } }
  var errors: [String] { responses.compactMap { $0["error"]?.string } }
}

/// A task that needs the caller for a while, as during a flood of messages.
private final class Flood: IdleTask {
  var isOver = false
  var nextDue: BootTime? { nil }
  var needsCaller: Bool { !isOver }
  func run(until deadline: BootTime) {}
}

@Suite struct `A report loop with commands` {
  private let record = Record()

  /// Returns a stage with an interval of 3,600 s and a minimum of 300 s, whose first report is due at once, and in which `commands`
  /// arrive after the given seconds.
  private func stage(
    _ commands: [(after: Double, text: String)], _ variables: [String: String] = [:],
    beginsWithBaseline: Bool = false, over tree: TemporaryDirectory? = nil
  ) throws -> LoopStage {
    let all = ["SAMPLE_INTERVAL_SECONDS": "3600", "DEFENDER_JITTER": "0"].merging(variables) { $1 }
    let stage = try LoopStage(all, over: tree, beginsWithBaseline: beginsWithBaseline)
    let (time, start, record) = (stage.time, stage.time.bootTime, record)
    stage.publisher.timeTaken = .zero
    stage.publisher.commandTopics = try CommandTopics(Topic(validating: "c/thing"))
    stage.publisher.commands = commands.map {
      (start.advanced(by: .milliseconds(Int64($0.after * 1_000))), Array($0.text.utf8))
    }
    time.messages = stage.publisher.commands.map(\.at)
    stage.publisher.whilePublishing = {
      record.reports.append(Int(start.duration(to: time.bootTime).inSeconds))
    }
    stage.publisher.whenResponding = { (payload) throws(PublishError) in
      record.responses.append((try? JSONValue(parsing: payload)) ?? .null)
    }
    return stage
  }

  /// Runs the loop until a stop is requested after `seconds`.
  @discardableResult
  private func run(_ stage: inout LoopStage, seconds: Int64) throws -> ReportOutcome {
    stage.time.shutdown = stage.time.bootTime.advanced(by: .seconds(seconds))
    return try stage.loop.run(ReportPlan(), until: .distantFuture)
  }

  private static let report = #"{"command":"report"}"#

  @Test func `reports at once, and keeps the slot`() throws {
    var stage = try stage([(1_000, #"{"command":"report","id":"x"}"#)])
    let outcome = try run(&stage, seconds: 8_000)
    #expect(record.reports == [0, 1_000, 3_600, 7_200])
    let ids = stage.publisher.reportIDs
    #expect(record.responses.count == 1)
    let response = try #require(record.responses.first)
    #expect(response["command"] == .string("report") && response["id"] == .string("x"))
    #expect(response["thing"] == .string("thing") && response["status"] == .string("accepted"))
    #expect(response["reportId"]?.integer() == ids[1])
    #expect(outcome.commands.accepted == 1 && outcome.commands.rejected == 0)
    #expect("\(outcome)" == "4 reports published, 0 failed; 1 commands accepted, 0 rejected")
    #expect(stage.lines.text.contains("Command 'report' on c/thing: accepted, report \(ids[1])."))
  }

  @Test func `says that the report waits in the spool`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree).merging(
      ["DEFENDER_SPOOL_BYTES": "1000000", "SAMPLE_INTERVAL_SECONDS": "3600"]) { $1 }
    var stage = try stage([(1_000, Self.report)], variables, over: tree)
    // The first report and the first attempt after the command fail.
    stage.publisher.acknowledgements = [false, false]
    let outcome = try run(&stage, seconds: 2_000)
    #expect(outcome.commands.accepted == 1 && outcome.waiting == 2)
    let response = try #require(record.responses.first)
    #expect(response["note"] == .string("it waits in the spool, the last of 2 reports"))
    let id: Int = try #require(response["reportId"]?.integer())
    #expect(stage.publisher.reportIDs.allSatisfy { $0 < id })
  }

  @Test func `counts no traffic twice`() throws {
    var stage = try stage([(1_000, Self.report)])
    let (procfs, record) = (stage.procfs, record)
    let whilePublishing = stage.publisher.whilePublishing
    stage.publisher.whilePublishing = {
      whilePublishing()
      try? setBytesIn(1_000 + 100 * record.reports.count, in: procfs)
    }
    try run(&stage, seconds: 4_000)
    #expect(stage.publisher.bytesIn == [nil, 100, 100])
  }

  @Test func `skips a slot that comes too early after the commanded report, once`() throws {
    var stage = try stage([(3_400, Self.report)])
    try run(&stage, seconds: 11_000)
    #expect(record.reports == [0, 3_400, 7_200, 10_800])
  }

  @Test func `rejects a report within the minimum interval after any other`() throws {
    var stage = try stage([(299.5, Self.report), (300, Self.report), (400, Self.report)])
    let outcome = try run(&stage, seconds: 3_000)
    #expect(record.reports == [0, 300])
    #expect(record.statuses == ["rejected", "accepted", "rejected"])
    #expect(
      record.errors.first?.contains("too early; the next report is allowed in 1 s, because 300 s is") == true)
    #expect(record.errors.last?.contains("allowed in 200 s") == true)
    #expect(outcome.commands.rejected == 2)
  }

  @Test func `allows more reports if the minimum interval is shorter`() throws {
    var stage = try stage(
      [(20, Self.report), (40, Self.report)], ["DEFENDER_MINIMUM_INTERVAL_SECONDS": "10"])
    try run(&stage, seconds: 100)
    #expect(record.reports == [0, 20, 40])
  }

  @Test func `reports before the first slot, from the baseline of the start`() throws {
    var stage = try stage([(50, Self.report)], ["SAMPLE_INTERVAL_SECONDS": "300"], beginsWithBaseline: true)
    try run(&stage, seconds: 700)
    // The slot at 300 s is less than 300 s after the report, and is skipped.
    #expect(record.reports == [50, 600])
    #expect(stage.publisher.bytesIn.first == 0)
  }

  @Test(arguments: [(100.0, false), (290, false), (301, true)])
  func `knows the last report of the previous process`(after: Double, isAccepted: Bool) throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    try reportOnce(variables, over: tree)
    // The clock of each stage starts at the same moment, at which the previous process made its report.
    var stage = try stage([(after, Self.report)], variables, over: tree)
    try run(&stage, seconds: 3_000)
    #expect(record.statuses == [isAccepted ? "accepted" : "rejected"], "\(record.errors)")
    #expect(record.reports == (isAccepted ? [301] : []))
  }

  @Test func `doesn't count a failed report against the next command`() throws {
    var stage = try stage([(10, Self.report), (20, Self.report)])
    stage.publisher.acknowledgements = [false, false, true]
    try run(&stage, seconds: 100)
    #expect(record.reports == [0, 10, 20])
    #expect(record.statuses == ["rejected", "accepted"])
    #expect(record.errors.first?.contains("made up") == true)
    #expect(record.responses.first?["reportId"] == nil)
  }

  @Test func `passes Device Defender's rejection on`() throws {
    var stage = try stage([(1_000, Self.report)])
    stage.publisher.confirmations = [.accepted, .rejected(code: "InvalidPayload", message: "no")]
    try run(&stage, seconds: 2_000)
    #expect(record.statuses == ["rejected"])
    #expect(record.errors.first?.contains("InvalidPayload: no") == true)
    #expect(record.responses.first?["reportId"]?.integer() == stage.publisher.reportIDs.last)
  }

  @Test func `doesn't count a late rejection of the former report against the commanded one`() throws {
    var stage = try stage([(5_000, Self.report)])
    // Device Defender has answered before, so an unanswered report isn't acknowledged.
    stage.publisher.provesDelivery = false
    stage.publisher.confirmations = [.accepted, .unanswered, .accepted]
    stage.publisher.lateConfirmations = [.rejected(code: "Throttled", message: "late")]
    let outcome = try run(&stage, seconds: 6_000)
    #expect(outcome.confirmations.rejected == 1)
    #expect(record.statuses == ["accepted"], "\(record.errors)")
    #expect(record.responses.first?["reportId"]?.integer() == stage.publisher.reportIDs.last)
  }

  @Test func `accepts a report that the core spools`() throws {
    var stage = try stage([(1_000, Self.report)])
    stage.publisher.confirmations = [.spooled, .spooled]
    try run(&stage, seconds: 2_000)
    #expect(record.statuses == ["accepted"])
  }

  @Test(
    arguments: [
      // Shorter: the next report is due one new interval after the last one.
      (100, "600", [0, 600, 1_200, 1_800], 600.0, nil),
      // Longer.
      (100, "7200", [0], 7_200, nil),
      // Raised to the minimum.
      (
        100, "60", [0, 300, 600, 900, 1_200, 1_500, 1_800, 2_100], 300,
        "Raised the interval from 60 s to 300 s: Device Defender throttles reports that are more frequent than one in 300 s. "
          + "For other topics, lower DEFENDER_MINIMUM_INTERVAL_SECONDS."
      ),
      // Overdue: without jitter at once.
      (1_000, "400", [0, 1_000, 1_400, 1_800, 2_200], 400, nil),
    ] as [(Double, String, [Int], Double, String?)])
  func `changes the interval`(
    after: Double, seconds: String, reports: [Int], interval: Double, note: String?
  ) throws {
    var stage = try stage([(after, #"{"command":"interval","seconds":\#(seconds)}"#)])
    try run(&stage, seconds: 2_300)
    #expect(record.reports == reports)
    let response = try #require(record.responses.first)
    #expect(response["intervalSeconds"]?.double == interval)
    #expect(response["note"]?.string == note)
  }

  @Test func `spreads overdue reports over the new interval`() throws {
    var stage = try stage(
      [(1_000, #"{"command":"interval","seconds":400}"#)], ["DEFENDER_JITTER": "1"])
    // The thing's slot in the first interval comes first.
    let slot = slotOffset(in: .seconds(3_600), thing: "thing").inSeconds
    stage.time.messages = [stage.time.bootTime.advanced(by: .seconds(Int64(slot) + 1_000))]
    stage.publisher.commands = stage.time.messages.map {
      ($0, Array(#"{"command":"interval","seconds":400}"#.utf8))
    }
    try run(&stage, seconds: Int64(slot) + 1_401)
    let offset = slotOffset(in: .seconds(400), thing: "thing").inSeconds
    #expect(record.reports == [Int(slot), Int(Double(Int(slot) + 1_000) + offset)])
  }

  @Test func `spreads first reports over the new interval`() throws {
    var stage = try stage([(1, #"{"command":"interval","seconds":300}"#)], ["DEFENDER_JITTER": "1"])
    // Otherwise the first report stays due at its slot of the configured interval.
    try #require(slotOffset(in: .seconds(3_600), thing: "thing") > .seconds(301))
    try run(&stage, seconds: 400)
    let offset = slotOffset(in: .seconds(300), thing: "thing").inSeconds
    #expect(record.reports.first == Int(1 + offset))
  }

  @Test func `keeps the delay after a throttled report over a change of the interval`() throws {
    var stage = try stage([
      (100, #"{"command":"interval","seconds":600}"#), (101, #"{"command":"interval","seconds":600}"#),
    ])
    stage.publisher.acknowledgements = [false]
    stage.publisher.refusal = .refused(ServiceError(HTTPResponse(status: 429)))
    try run(&stage, seconds: 5_000)
    // The delay is random; the log has it.
    let text = try #require(stage.lines.text.split(separator: "throttled. Next report in ").last)
    let configured = try #require(Int(text.prefix { $0.isNumber }))
    try #require(record.reports.count > 1)
    #expect(abs(record.reports[1] - (configured - 3_600 + 600)) <= 1, "\(record.reports), \(configured)")
  }

  @Test func `restores the configured interval`() throws {
    var stage = try stage([
      (100, #"{"command":"interval","seconds":600}"#), (700, #"{"command":"interval"}"#),
    ])
    try run(&stage, seconds: 5_000)
    #expect(record.reports == [0, 600, 4_200])
    #expect(record.responses.last?["intervalSeconds"]?.integer() == 3_600)
  }

  @Test func `keeps a commanded interval over a new configuration, unless that changes the interval`() throws
  {
    var stage = try stage([(100, #"{"command":"interval","seconds":600}"#)])
    try run(&stage, seconds: 700)
    for (variables, expected) in [
      (["SAMPLE_INTERVAL_SECONDS": "3600", "DEFENDER_FORMAT": "json"], [0, 600, 1_200]),
      (["SAMPLE_INTERVAL_SECONDS": "900"], [0, 600, 1_200, 2_100]),
    ] {
      let configuration = try LoopStage.configuration(variables, over: stage.procfs)
      stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
      try run(&stage, seconds: expected.last == 1_200 ? 600 : 1_000)
      #expect(record.reports == expected)
    }
  }

  @Test func `continues the schedule after a commanded report and a new configuration`() throws {
    var stage = try stage([(3_400, Self.report)])
    try run(&stage, seconds: 3_500)
    let variables = ["SAMPLE_INTERVAL_SECONDS": "3600", "DEFENDER_NAMES": "long"]
    let configuration = try LoopStage.configuration(variables, over: stage.procfs)
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try run(&stage, seconds: 4_000)
    #expect(record.reports == [0, 3_400, 7_200])
  }

  @Test func `carries a repeated id out once, and repeats the response`() throws {
    let command = #"{"command":"report","id":"42"}"#
    var stage = try stage([(1_000, command), (1_001, command), (2_000, #"{"command":"report","id":"43"}"#)])
    try run(&stage, seconds: 3_000)
    #expect(record.reports == [0, 1_000, 2_000])
    #expect(record.responses.count == 3 && record.responses[0] == record.responses[1])
  }

  @Test func `notices a command that arrives during the response to another`() throws {
    var stage = try stage([(1_000, #"{"command":"interval","seconds":7200}"#)])
    let (time, record, publisher) = (stage.time, record, stage.publisher)
    publisher.whenResponding = { [unowned publisher] (payload) throws(PublishError) in
      record.responses.append((try? JSONValue(parsing: payload)) ?? .null)
      // No descriptor shows it: it came with the acknowledgement of the response.
      if record.responses.count == 1 { publisher.commands = [(time.bootTime, Array(Self.report.utf8))] }
    }
    try run(&stage, seconds: 2_000)
    #expect(record.reports == [0, 1_000] && record.statuses == ["accepted", "accepted"])
  }

  @Test func `limits commands, and answers the first one over the limit`() throws {
    let bad = #"{"command":"reboot"}"#
    var stage = try stage(Array(repeating: (1_000, bad), count: 12) + [(1_100, bad)])
    let outcome = try run(&stage, seconds: 2_000)
    let unknown = #"'command' is "reboot"; allowed: report, interval"#
    let limit = "too many commands; at most 3 at once and 10 a minute are carried out"
    #expect(record.errors == [unknown, unknown, unknown, limit, unknown])
    #expect(outcome.commands.rejected == 5)
    #expect(stage.lines.text.components(of: "too many commands") == 1)
  }

  @Test func `names the command over the limit in the response`() throws {
    let bad = #"{"command":"reboot","id":"bad"}"#
    let good = #"{"command":"interval","id":"4"}"#
    // The tokens are back after 18 s.
    var stage = try stage(
      Array(repeating: (1_000, bad), count: 3) + [(1_000, good)] + Array(repeating: (1_100, bad), count: 4))
    try run(&stage, seconds: 2_000)
    let refused = record.responses.filter { $0["error"]?.string?.contains("too many commands") == true }
    #expect(refused.compactMap { $0["id"]?.string } == ["4", "bad"])
    #expect(refused.map { $0["command"]?.string } == ["interval", nil])
  }

  @Test func `continues if a response can't be published`() throws {
    var stage = try stage([(1_000, Self.report), (2_000, Self.report)])
    let topic = try Topic(validating: "c/thing/response")
    stage.publisher.whenResponding = { _ throws(PublishError) in
      throw PublishError(
        .transport(TransportFailure(reason: "made up", advice: "Do it.", isTransient: false)), topic: topic,
        endpoint: "e", attempts: 1)
    }
    try run(&stage, seconds: 4_000)
    #expect(record.reports == [0, 1_000, 2_000, 3_600])
    #expect(stage.lines.text.contains("Can't publish the response to a command: "))
    #expect(stage.lines.text.contains("made up"))
  }

  @Test func `reports on time even if messages arrive without end`() throws {
    var stage = try stage([])
    let (time, start, flood) = (stage.time, stage.time.bootTime, Flood())
    stage.publisher.whileTakingCommands = {
      time.advance(by: .seconds(1))
      // Otherwise a loop that never reports wouldn't end.
      flood.isOver = start.duration(to: time.bootTime) > .seconds(9_000)
    }
    let variables = ["SAMPLE_INTERVAL_SECONDS": "3600", "DEFENDER_JITTER": "0"]
    let configuration = try LoopStage.configuration(variables, over: stage.procfs)
    stage.loop.resume(
      with: configuration, publisher: stage.publisher, time: TaskRunningWaiter(time, running: [flood]))
    _ = try stage.loop.run(ReportPlan(reports: 3), until: .distantFuture)
    let late = zip(record.reports, [0, 3_600, 7_200]).map { $0 - $1 }
    #expect(late.count == 3 && late.allSatisfy { (0...1).contains($0) }, "\(record.reports)")
  }

  @Test func `ignores commands in a dry run`() throws {
    var stage = try stage([(1_000, Self.report)])
    stage.time.messages = []
    try stage.run(plan(reports: 2, isDryRun: true), seconds: 4_000)
    #expect(record.responses.isEmpty && record.reports.isEmpty)
  }

  @Test func `shows the last command in the status`() throws {
    var stage = try stage([(1_000, Self.report)])
    var texts: [String] = []
    stage.loop.status = AgentStatus { texts.append($0) }
    try run(&stage, seconds: 2_000)
    let id = try #require(stage.publisher.reportIDs.last)
    #expect(texts.last?.contains("last command at 2023-") == true)
    #expect(texts.last?.contains(": 'report' accepted, report \(id)") == true, "\(texts)")
  }
}
