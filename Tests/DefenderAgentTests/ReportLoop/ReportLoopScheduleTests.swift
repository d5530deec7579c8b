import AgentTestSupport
import AWSClient
import DefenderAgent
import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// Records how much time each call has left, by the system's clock.
private final class TimedPublisher: Publisher {
  private(set) var left: [Duration] = []

  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    left.append(BootTime.now.duration(to: deadline))
    return PublishReceipt(status: 200, attempts: 1)
  }
}

@Suite struct `The schedule of the report loop` {
  @Test func `publishes on schedule until the deadline`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"])
    let start = stage.time.bootTime
    let outcome = try stage.run(ReportPlan(), seconds: 900)
    #expect(outcome.ended == .deadline)
    #expect(outcome.published == 3)
    #expect(stage.time.wakeUps == [0, 300, 600].map { start.advanced(by: .seconds($0)) })
    #expect(stage.publisher.deadlines.allSatisfy { $0 <= start.advanced(by: .seconds(900)) })
  }

  @Test func `waits for the thing's slot once, in an endless loop`() throws {
    var stage = try LoopStage()
    let start = stage.time.bootTime
    let offset = slotOffset(in: .seconds(300), thing: "thing")
    try stage.run(ReportPlan(), seconds: 900)
    #expect(stage.time.wakeUps.first == start.advanced(by: offset))
    let next = stage.time.bootTime
    let slept = stage.time.wakeUps.count
    try stage.run(ReportPlan(), seconds: 900)
    #expect(stage.time.wakeUps[slept] == next)
  }

  @Test func `moves to another slot after a report was throttled`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"])
    stage.publisher.acknowledgements = [true, false, true]
    stage.publisher.refusal = .refused(ServiceError(HTTPResponse(status: 429)))
    try stage.run(ReportPlan(reports: 4), seconds: 3_600)
    let gaps = zip(stage.time.wakeUps, stage.time.wakeUps.dropFirst()).map { $0.duration(to: $1) }
    try #require(gaps.count == 3)
    #expect(gaps[0] == .seconds(300) && gaps[2] == .seconds(300))
    // The slot only moves later: Device Defender throttles reports that are less than 300 s apart.
    #expect(gaps[1] > .seconds(300) && gaps[1] < .seconds(600))
    #expect(stage.lines.text.contains("throttled"))
  }

  @Test(arguments: [("1", 10.0), ("0", 10), ("1", 301), ("0", 301)])
  func `waits an interval after the last report of the previous process`(jitter: String, pause: Double) throws
  {
    let tree = try TemporaryDirectory()
    try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    let variables = ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state", "DEFENDER_JITTER": jitter]
    try reportOnce(variables, over: tree)
    var second = try LoopStage(variables, over: tree)
    second.time.advance(by: .seconds(pause))
    let start = second.time.bootTime
    try second.run(ReportPlan(), seconds: 1_800)
    let wait = start.duration(to: try #require(second.time.wakeUps.first))
    let offset = jitter == "1" ? slotOffset(in: .seconds(300), thing: "thing") : .zero
    #expect(wait + .seconds(pause) >= .seconds(300))
    // The slot stays. Without a slot, the wait is as short as the interval allows.
    let late: Duration = jitter == "1" ? offset + .seconds(300) : .seconds(291)
    #expect(second.time.wakeUps.first == start.advanced(by: pause > 300 ? offset : late))
  }

  @Test func `ends for a changed configuration, and not as if it had received a signal`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"])
    stage.time.interruption = stage.time.bootTime.advanced(by: .seconds(400))
    let outcome = try stage.run(ReportPlan(), seconds: 9_000)
    #expect(outcome.ended == .configurationChanged)
    #expect(outcome.published == 2)
    #expect(stage.time.bootTime == stage.time.interruption)
  }

  @Test func `raises a short interval, and logs that once`() throws {
    var stage = try LoopStage()
    let start = stage.time.bootTime
    try stage.run(plan(reports: 2, interval: .seconds(10)))
    try stage.run(plan(reports: 2, interval: .seconds(10)))
    #expect(stage.time.wakeUps[1] == start.advanced(by: .seconds(300)))
    #expect(stage.lines.text.components(of: "DEFENDER_MINIMUM_INTERVAL_SECONDS") == 1)
  }

  @Test func `reports one interval after the first sample if that only started the deltas`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"], beginsWithBaseline: true)
    let start = stage.time.bootTime
    try stage.run(ReportPlan(), seconds: 500)
    #expect(stage.time.wakeUps == [start.advanced(by: .seconds(300))])
    #expect(stage.publisher.bytesIn == [0])
  }

  @Test func `reports one interval after its last report under a new configuration`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"])
    let start = stage.time.bootTime
    try stage.run()
    let configuration = try LoopStage.configuration(["SAMPLE_INTERVAL_SECONDS": "400"], over: stage.procfs)
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try stage.run()
    #expect(stage.time.wakeUps == [start, start.advanced(by: .seconds(400))])
  }

  // If the deadline is less than two intervals away, a report before it matters more than the interval since the last one.
  @Test(arguments: [200, 400] as [Int64])
  func `reports before a near deadline, however recent the last process's report is`(seconds: Int64) throws {
    let tree = try TemporaryDirectory()
    let variables = try variables(ofStateIn: tree)
    try reportOnce(variables, over: tree)
    var stage = try LoopStage(variables, over: tree)
    stage.time.advance(by: .seconds(10))
    try stage.run(ReportPlan(), seconds: seconds)
    #expect(stage.publisher.payloads.count == 1)
  }

  @Test func `moves to another slot if Device Defender reports throttling`() throws {
    var stage = try LoopStage(["DEFENDER_JITTER": "0"])
    stage.publisher.confirmations = [
      .accepted, .rejected(code: "ThrottlingException", message: ""), .accepted,
    ]
    try stage.run(ReportPlan(reports: 3), seconds: 3_600)
    let gaps = zip(stage.time.wakeUps, stage.time.wakeUps.dropFirst()).map { $0.duration(to: $1) }
    #expect(gaps.count == 2 && gaps[0] == .seconds(300) && gaps[1] > .seconds(300))
  }

  @Test(arguments: [false, true])
  func `ends a metrics command in time to publish, even if its own timeout is longer`(isDryRun: Bool) throws {
    let tree = try TemporaryDirectory()
    let command = try tree.writeProgram("metrics", "#!/bin/sh\nsleep 60\n")
    var stage = try LoopStage(["DEFENDER_CUSTOM_METRICS_COMMAND": command], over: tree)
    let start = BootTime.now
    let outcome = try stage.run(plan(reports: 1, isDryRun: isDryRun), seconds: 1)
    #expect(start.duration(to: .now) < .seconds(8), "the command's own timeout is 10 s")
    #expect(outcome.failed == 0)
    #expect(stage.lines.text.contains("because the deadline left no more time"))
  }

  @Test func `leaves time to publish after a metrics command that uses all its time`() throws {
    let tree = try TemporaryDirectory()
    let command = try tree.writeProgram("metrics", "#!/bin/sh\nsleep 60\n")
    let environment = Environment([
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "DEFENDER_TOPIC": "own/{thing}",
      "DEFENDER_CUSTOM_METRICS_COMMAND": command,
    ])
    let publisher = TimedPublisher()
    let time = SystemWaiter(shutdown: nil)
    var loop = ReportLoop(
      try Configuration(environment), publisher: publisher, time: time, log: Log { _, _ in })
    let outcome = try loop.run(
      ReportPlan(reports: 1), until: time.bootTime.advanced(by: .milliseconds(9_500)))
    #expect(outcome.published == 1)
    // The command gets half of 9.5 s. A busy machine may need some of the other half.
    #expect(publisher.left.count == 1)
    #expect(publisher.left.allSatisfy { $0 > .zero && $0 < .seconds(5) })
  }

  @Test func `ends a metrics command in time if the first sample only starts the deltas`() throws {
    let tree = try TemporaryDirectory()
    let command = try tree.writeProgram("metrics", "#!/bin/sh\nsleep 60\n")
    var stage = try LoopStage(
      ["DEFENDER_CUSTOM_METRICS_COMMAND": command], over: tree, beginsWithBaseline: true)
    let start = BootTime.now
    try stage.attempt(ReportPlan(reports: 1), seconds: 1)
    #expect(start.duration(to: .now) < .seconds(8), "the command's own timeout is 10 s")
    #expect(stage.lines.text.contains("because the deadline left no more time"))
  }
}
