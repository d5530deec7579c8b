import AgentTestSupport
import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `The saved state of the report loop` {
  @Test func `continues after a restart from the last process's state`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
    try reportOnce(variables, over: tree)
    var second = try LoopStage(variables, over: tree)
    try setBytesIn(1_800, in: tree)
    // Somebody set the clock back while no process ran.
    second.time.wallTime = second.time.wallTime.advanced(by: .seconds(-3_600))
    try second.run()
    let report = second.publisher.payloads.first
    #expect(report?["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 800)
    #expect(report?["header"]?["report_id"]?.integer(as: Int.self) == 1_700_000_001)
  }

  @Test func `starts over after a reboot, but the id still increases`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
    try reportOnce(variables, over: tree)
    try tree.write("sys/kernel/random/boot_id", "00000000-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    var second = try LoopStage(variables, over: tree)
    try second.run()
    let report = second.publisher.payloads.first
    #expect(report?["metrics"]?["network_stats"] == nil)
    #expect(report?["header"]?["report_id"]?.integer(as: Int.self) == 1_700_000_001)
  }

  @Test func `saves the id of a report before publishing it, and the baseline afterwards`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var stage = try LoopStage(variables, over: tree)
    var saved: [JSONValue] = []
    stage.publisher.whilePublishing = { saved.append(savedState(in: tree)) }
    // The second report isn't acknowledged.
    stage.publisher.acknowledgements = [true, false, true]
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: tree)
      try stage.attempt()
    }
    saved.append(savedState(in: tree))
    let ids = stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: UInt64.self) }
    #expect(ids.count == 3)
    #expect(saved.dropLast().compactMap { $0["last_report_id"]?.integer(as: UInt64.self) } == ids)
    let baselines = saved.map { $0["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self) }
    #expect(baselines == [nil, 1_000, 1_000, 1_700])
  }

  @Test func `never reuses the id of an interrupted report, even within the same second`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var ids: [Int] = []
    for _ in 0..<5 {
      // The clock of each process starts at the same second.
      var stage = try LoopStage(variables, over: tree)
      stage.publisher.timeTaken = .zero
      var disk: [UInt8] = []
      stage.publisher.whilePublishing = {
        disk = (try? readFile("\(tree.path)/state/state.json", limit: 65_536)) ?? []
      }
      try stage.run()
      ids += stage.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
      _ = consume stage
      // As if the process had been killed during the publish: restores the state as it was then.
      try tree.write("state/state.json", disk)
    }
    #expect(ids == Array(1_700_000_000...1_700_000_004))
  }

  @Test func `continues with the clock's ids and its own baseline if no state can be saved`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    try tree.write("state/state.json.new/x", "")
    var stage = try LoopStage(variables, over: tree)
    for bytes in [1_000, 1_200, 1_700] {
      try setBytesIn(bytes, in: tree)
      try stage.run()
      stage.time.advance(by: .seconds(100))
    }
    #expect(stage.publisher.reportIDs == [1_700_000_000, 1_700_000_100, 1_700_000_200])
    #expect(stage.publisher.bytesIn == [nil, 200, 500])
    #expect(stage.lines.text.components(of: "[ERROR]") == 1)
  }

  @Test func `keeps the state of each network namespace if another configuration reads another one`() throws {
    let trees = try [TemporaryDirectory(), TemporaryDirectory()]
    let variables = try variables(ofStateIn: trees[0])
    try trees[1].write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    var stage = try LoopStage(variables, over: trees[0])
    try stage.run()
    let configuration = try LoopStage.configuration(variables, over: trees[1])
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try stage.run()
    // With the same network and state, the loop keeps its baseline.
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try setBytesIn(1_300, in: trees[1])
    try stage.run()
    #expect(stage.publisher.bytesIn == [nil, nil, 300])
    _ = consume stage
    var next = try LoopStage(variables, over: trees[1])
    try setBytesIn(1_700, in: trees[1])
    try next.run()
    #expect(next.publisher.bytesIn == [400])
    let ids = next.publisher.payloads.compactMap { $0["header"]?["report_id"]?.integer(as: Int.self) }
    // Each of the other reports was made one interval after the previous one.
    #expect(ids == [1_700_000_601])
  }

  @Test func `saves its first baseline immediately, so that restarts lose nothing`() throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    // Each process ends before its first report is due, one interval after its start.
    for bytes in [1_000, 2_000, 3_000, 4_000] {
      var stage = try LoopStage(variables, over: tree, beginsWithBaseline: true)
      try setBytesIn(bytes, in: tree)
      try stage.fail(ReportPlan(), seconds: -1)
      #expect(stage.publisher.payloads.isEmpty)
    }
    try setBytesIn(5_000, in: tree)
    var stage = try LoopStage(variables, over: tree, beginsWithBaseline: true)
    try setBytesIn(5_000, in: tree)
    try stage.run()
    #expect(stage.publisher.bytesIn == [4_000])
  }

  @Test(arguments: [1_000, 5_000])
  func `works without the state that another process holds, and continues from it when that ends`(ahead: Int)
    throws
  {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    var first = try LoopStage(variables, over: tree)
    first.time.advance(by: .seconds(1_000))
    try first.run()
    var second = try LoopStage(variables, over: tree)
    second.time.wallTime = second.time.wallTime.advanced(by: .seconds(ahead - 1_000))
    try setBytesIn(1_200, in: tree)
    try second.run()
    #expect(second.lines.text.components(of: "is in use by another process") == 1)
    #expect(savedState(in: tree)["last_report_id"]?.integer(as: Int.self) == 1_700_001_000)
    _ = consume first
    // The id is larger than the last id of both processes, whatever the clock says.
    second.time.wallTime = WallTime(secondsSinceEpoch: 1_699_000_000)
    try setBytesIn(1_500, in: tree)
    try second.run()
    #expect(
      second.publisher.reportIDs == [1_699_999_000 + ahead, max(1_700_001_000, 1_699_999_000 + ahead) + 1])
    // The delta is computed against its own last report.
    #expect(second.publisher.bytesIn == [nil, 300])
  }

  /// The previous process is still stopping when the next one starts. The previous one's baseline is 1,000.
  @Test(arguments: [[], [ReportConfirmation.unanswered]])
  func `computes deltas from the saved baseline if it takes over before any of its reports is acknowledged`(
    unanswered: [ReportConfirmation]
  ) throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree).merging([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ]) { $1 }
    var first = try LoopStage(variables, over: tree)
    first.publisher.confirmations = [.accepted]
    try first.run()
    let start = BootTime.now
    var second = try LoopStage(variables, over: tree, beginsWithBaseline: true)
    // It waits for the previous process.
    #expect(start.duration(to: .now) >= .seconds(2))
    try setBytesIn(5_001_000, in: tree)
    try second.fail(ReportPlan(), seconds: -1)
    second.publisher.confirmations = unanswered + [.accepted, .accepted]
    for _ in unanswered { try second.run() }
    _ = consume first
    // The late answer is about a report whose delta was computed against 5,001,000.
    if !unanswered.isEmpty { second.publisher.lateConfirmations = [.accepted] }
    for bytes in [5_001_500, 5_001_700] {
      try setBytesIn(bytes, in: tree)
      try second.run()
    }
    #expect(second.publisher.bytesIn == unanswered.map { _ in 0 } + [5_000_500, 200])
    #expect(savedState(in: tree)["interfaces"]?.array?.first?["bytes_in"]?.integer(as: Int.self) == 5_001_700)
  }

  @Test func `computes deltas from the saved baseline despite a late answer to a report without deltas`()
    throws
  {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree).merging([
      "DEFENDER_ACKNOWLEDGE": "accepted", "DEFENDER_TRANSPORT": "greengrass",
      "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
    ]) { $1 }
    var first = try LoopStage(variables, over: tree)
    first.publisher.confirmations = [.accepted]
    try first.run()
    var second = try LoopStage(variables, over: tree)
    try setBytesIn(5_001_000, in: tree)
    second.publisher.confirmations = [.unanswered, .accepted]
    try second.run()
    _ = consume first
    // No report includes the traffic up to 5,001,000.
    second.publisher.lateConfirmations = [.accepted]
    try setBytesIn(5_001_500, in: tree)
    try second.run()
    #expect(second.publisher.bytesIn == [nil, 5_000_500])
  }
}
