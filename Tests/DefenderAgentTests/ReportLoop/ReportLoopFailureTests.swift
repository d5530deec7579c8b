import AgentTestSupport
import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `The report loop after a failure` {
  @Test func `logs the same failure once every few minutes`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1", "SAMPLE_INTERVAL_SECONDS": "10"])
    stage.publisher.acknowledgements = Array(repeating: false, count: 50)
    try stage.run(ReportPlan(reports: 51))
    // Within 500 s.
    #expect(stage.lines.text.split(separator: "\n").filter { $0.contains("was not published") }.count == 3)
  }

  @Test func `counts failures among successes and continues`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    stage.publisher.acknowledgements = [true, false, true]
    let outcome = try stage.run(plan(reports: 3, interval: .seconds(1)))
    #expect(outcome.published == 2)
    #expect(outcome.failed == 1)
    #expect(outcome.lastError?.contains("made up") == true)
  }

  @Test func `warns once that Device Defender's topics don't accept HTTPS`() throws {
    var stage = try LoopStage(["DEFENDER_TOPIC": ""])
    try stage.run()
    try stage.run()
    #expect(stage.publisher.topics.last == "$aws/things/thing/defender/metrics/json")
    #expect(stage.lines.text.components(of: "DEFENDER_TOPIC") == 1)
  }

  @Test func `publishes no empty report`() throws {
    var stage = try LoopStage()
    for name in ["tcp", "tcp6", "udp", "udp6", "dev"] { try stage.procfs.remove("net/\(name)") }
    try stage.fail()
    #expect(stage.publisher.payloads.isEmpty)
  }

  @Test func `omits a block that can't be read, and logs that`() throws {
    var stage = try LoopStage()
    try stage.procfs.remove("net/udp")
    let outcome = try stage.run()
    #expect(outcome.published == 1)
    let metrics = stage.publisher.payloads.last?["metrics"]
    #expect(metrics?["listening_udp_ports"] == nil)
    #expect(metrics?["listening_tcp_ports"]?["total"]?.integer(as: Int.self) == 0)
    #expect(stage.lines.text.contains("net/udp"))
  }
}
