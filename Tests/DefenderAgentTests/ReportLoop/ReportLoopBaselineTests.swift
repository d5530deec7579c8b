import AgentTestSupport
import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `The baseline of the report loop` {
  @Test func `reports a delta from the second report on`() throws {
    var stage = try LoopStage()
    let first = try stage.run()
    try setBytesIn(1_500, in: stage.procfs)
    let second = try stage.run()
    #expect(first.published == 1)
    #expect(second.ended == .reports)
    #expect(second.topic == "defender/thing/json")
    #expect(second.transport == "https")
    let metrics = stage.publisher.payloads.map { $0["metrics"] }
    #expect(metrics.count == 2)
    #expect(metrics[0]?["network_stats"] == nil)
    #expect(metrics[1]?["network_stats"]?["bytes_in"]?.integer(as: Int.self) == 500)
  }

  @Test func `includes the traffic of a lost report in the next one`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    try stage.run()
    try setBytesIn(1_200, in: stage.procfs)
    stage.publisher.acknowledgements = [false]
    try stage.fail()
    try setBytesIn(1_700, in: stage.procfs)
    let outcome = try stage.run()
    #expect(outcome.published == 1)
    #expect(stage.publisher.bytesIn == [nil, 200, 700])
  }

  @Test func `restarts if another configuration reads another network namespace`() throws {
    let other = try TemporaryDirectory()
    var stage = try LoopStage()
    try stage.run()
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try other.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(900_000, in: other)
    for path in [other.path, other.path, stage.procfs.path] {
      let configuration = try Configuration(
        Environment([
          "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "PROCFS_PATH": path,
          "DEFENDER_TOPIC": "defender/{thing}/{format}",
        ]))
      stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
      try stage.run()
    }
    #expect(stage.publisher.bytesIn == [nil, nil, 0, nil])
  }

  @Test func `starts at the first sample, even if it made no report`() throws {
    var stage = try LoopStage()
    for name in ["tcp", "tcp6", "udp", "udp6"] { try stage.procfs.remove("net/\(name)") }
    try stage.fail()
    #expect(stage.publisher.payloads.isEmpty)
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try stage.procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(1_400, in: stage.procfs)
    try stage.run()
    #expect(stage.publisher.bytesIn == [400])
  }

  @Test func `adds the requested custom metrics`() throws {
    let tree = try TemporaryDirectory()
    try tree.write("uptime", "350735.47 234388.90\n")
    var stage = try LoopStage(["DEFENDER_CUSTOM_METRICS": "uptime"], over: tree)
    try stage.run()
    let metric = stage.publisher.payloads.first?["custom_metrics"]?["uptime"]
    #expect(metric?.array?.first?["number"]?.double != nil)
  }

  @Test func `assigns ids that always increase`() throws {
    var stage = try LoopStage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.001"])
    try stage.run(plan(reports: 3, interval: .milliseconds(1)))
    // Somebody sets the clock back by an hour between two invocations.
    stage.time.wallTime = stage.time.wallTime.advanced(by: .seconds(-3_600))
    try stage.run(plan(reports: 2, interval: .milliseconds(1)))
    #expect(
      stage.publisher.reportIDs == [
        1_700_000_000, 1_700_000_001, 1_700_000_002, 1_700_000_003, 1_700_000_004,
      ])
  }
}
