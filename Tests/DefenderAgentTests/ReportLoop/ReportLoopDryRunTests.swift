import AgentTestSupport
import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `A dry run of the report loop` {
  @Test func `publishes nothing, shows the report, and keeps the baseline`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    try stage.run()
    try setBytesIn(1_300, in: stage.procfs)
    let outcome = try stage.run(plan(reports: 1, isDryRun: true))
    #expect(
      try outcome.dryRunDocument["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 300)
    #expect(stage.publisher.payloads.count == 1)
    try stage.run()
    let reportedBytes = stage.publisher.payloads.last?["metrics"]?["network_stats"]?["bytes_in"]
    #expect(reportedBytes?.integer(as: Int.self) == 300)
  }

  @Test func `omits warnings that don't apply to a single report or to one that is only shown`() throws {
    var stage = try LoopStage(["DEFENDER_TOPIC": ""])
    try stage.run(plan(reports: 1, interval: .seconds(10), isDryRun: true))
    #expect(stage.lines.text.components(of: "[WARN]") == 0, "\(stage.lines.text)")
  }

  @Test func `computes each report of a dry run against the previous one`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    try stage.run()
    try setBytesIn(1_300, in: stage.procfs)
    let outcome = try stage.run(plan(reports: 2, isDryRun: true))
    #expect(try outcome.dryRunDocument["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 0)
  }
}
