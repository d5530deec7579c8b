import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `A dry run of the report loop` {
  @Test func `publishes nothing in a dry run, shows the report, and keeps the baseline`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    try stage.run()
    try setBytesIn(1_300, in: stage.procfs)
    let outcome = try stage.run(plan(reports: 1, isDryRun: true))
    #expect(
      try outcome.dryRunDocument["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 300)
    #expect(stage.publisher.payloads.count == 1)
    try stage.run()
    let told = stage.publisher.payloads.last?["metrics"]?["network_stats"]?["bytes_in"]
    #expect(told?.integer(as: Int.self) == 300)
  }

  @Test func `warns of nothing that one report, or one that is only shown, doesn't meet`() throws {
    var stage = try LoopStage(["DEFENDER_TOPIC": ""])
    try stage.run(plan(reports: 1, interval: .seconds(10), isDryRun: true))
    #expect(stage.lines.text.components(of: "[WARN]") == 0, "\(stage.lines.text)")
  }

  @Test func `counts each report of a dry run from the one before`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    try stage.run()
    try setBytesIn(1_300, in: stage.procfs)
    let outcome = try stage.run(plan(reports: 2, isDryRun: true))
    #expect(try outcome.dryRunDocument["metrics"]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 0)
  }
}
