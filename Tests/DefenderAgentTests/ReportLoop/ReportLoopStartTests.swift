import AgentTestSupport
import HTTPClient
import Platform
import TestSupport
import Testing

@testable import DefenderAgent

/// What the loop does before it waits for the first report.
@Suite struct `the start of the report loop` {
  /// Texts that a status showed.
  private final class Shown {
    var texts: [String] = []
  }

  @Test func `connects before the first slot, once, and publishes nothing early`() throws {
    var stage = try LoopStage(connectsAtStart: true)
    let start = stage.time.bootTime
    try stage.run(ReportPlan(), seconds: 1_000)
    #expect(stage.publisher.openings == [start])
    #expect(stage.publisher.deadlines.count >= 2)
    let lines = stage.lines.text
    let connected = try #require(lines.firstRange(of: "Connected to http://localhost. Closed the connection"))
    let slot = try #require(lines.firstRange(of: "First report in 283 s"))
    let published = try #require(lines.firstRange(of: "Published report"))
    #expect(connected.upperBound < slot.lowerBound && slot.upperBound < published.lowerBound)
    try stage.run(ReportPlan(), seconds: 1_000)
    #expect(stage.publisher.openings.count == 1)
  }

  @Test func `doesn't connect ahead in a Lambda function or for a dry run`() throws {
    var function = try LoopStage()
    try function.run()
    #expect(function.publisher.openings.isEmpty)
    var dryRun = try LoopStage(connectsAtStart: true)
    var plan = ReportPlan(reports: 1)
    plan.isDryRun = true
    try dryRun.run(plan)
    #expect(dryRun.publisher.openings.isEmpty)
  }

  @Test func `logs why it can't connect, and still reports`() throws {
    var stage = try LoopStage(connectsAtStart: true)
    stage.publisher.refusalToOpen = .exchange(.notConnected("connection refused"))
    let shown = Shown()
    stage.loop.status = AgentStatus { shown.texts.append($0) }
    try stage.run(ReportPlan(), seconds: 1_000)
    #expect(stage.lines.text.contains("Can't connect to http://localhost: "))
    #expect(stage.lines.text.contains("connection refused"))
    #expect(stage.lines.text.contains("The first report tries again."))
    #expect(stage.publisher.payloads.count >= 2)
    let first = try #require(shown.texts.first)
    #expect(first.hasPrefix("Not connected; no report yet; next report at 2023-11-14T"), "\(first)")
    #expect(first.contains("; last error at 2023-11-14T") && first.contains("connection refused"), "\(first)")
    let last = try #require(shown.texts.last)
    #expect(last.hasPrefix("Reachable, not connected between reports; last report 17"), "\(last)")
  }

  @Test func `shows the last error of a report`() throws {
    var stage = try LoopStage(connectsAtStart: true)
    stage.publisher.acknowledgements = [true, false]
    let shown = Shown()
    stage.loop.status = AgentStatus { shown.texts.append($0) }
    try stage.run(ReportPlan(), seconds: 1_000)
    let last = try #require(shown.texts.last)
    #expect(last.hasPrefix("Not connected; last report 17") && last.contains("made up"), "\(last)")
  }

  @Test func `doesn't warn for each report if it doesn't wait for answers`() throws {
    var stage = try LoopStage(["DEFENDER_CONFIRMATION_SECONDS": "0"])
    stage.publisher.confirmations = [.unanswered, .unanswered]
    let outcome = try stage.run(ReportPlan(reports: 2), seconds: 1_000)
    #expect(outcome.confirmations.unanswered == 2)
    #expect(!stage.lines.text.contains("didn't answer"))
  }
}
