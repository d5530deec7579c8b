import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

@Suite struct `Work after a response` {
  private struct Broken: Error {}

  @Test func `runs in order after the response was sent and before the next poll`() throws {
    var steps: [String] = []
    let run = try ServedRuntime(
      script: [event("1", id: "a"), accepted, event("2", id: "b"), accepted],
      handler: TestHandler { event, context in
        steps.append("handled")
        return Response(json: event.bytes).then { steps.append("one") }.then { steps.append("two") }
      })
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(steps == ["handled", "one", "two", "handled", "one", "two"])
    #expect(run.log.isEmpty)
  }

  @Test func `that fails is logged with the request ID, and the rest still runs`() throws {
    var hasRun = false
    let run = try ServedRuntime(
      script: [event("1", id: "the-id"), accepted, event("2", id: "b"), accepted],
      handler: TestHandler { event, _ in
        guard event.bytes == [0x31] else { return Response(json: event.bytes) }
        return Response(json: event.bytes).then { throw Broken() }.then { hasRun = true }
      })
    #expect(run.answers.map { $0.path.hasSuffix("/response") } == [true, true])
    #expect(hasRun)
    #expect(run.log.count == 1)
    #expect(run.log.allSatisfy { $0.contains("\tthe-id\tWork after the response failed: Function.Broken") })
  }

  @Test func `follows a stream, too`() throws {
    var isSent = false
    var hasRun = false
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in
        Response(streaming: "text/plain") { stream in
          try stream.write([0x31])
          isSent = true
        }.then { hasRun = isSent }
      })
    #expect(run.answers.map(\.text) == ["1"])
    #expect(hasRun)
  }

  @Test(arguments: [
    ("on-demand", 1_000, false), ("lambda-managed-instances", 1_000, true),
    // The deadline had already passed when the event arrived, so it says nothing.
    ("on-demand", -1, true), ("lambda-managed-instances", -1, true),
  ])
  func `isn't started after a deadline that passed since the event arrived and is enforced`(
    mode: String, remaining: Int64, runs: Bool
  ) throws {
    let time = ManualTime()
    let deadline = time.wallTime.nanosecondsSinceEpoch / 1_000_000 + remaining
    let server = try LoopbackServer(script: [
      event(
        "1", id: "the-id", without: ["Lambda-Runtime-Deadline-Ms"],
        [("Lambda-Runtime-Deadline-Ms", "\(deadline)")]), accepted,
    ])
    let stop = try StopSwitch()
    let log = RecordedLog()
    let api = RuntimeAPI(
      try RuntimeEndpoint(parsing: server.authority),
      environment: Environment(["AWS_LAMBDA_INITIALIZATION_TYPE": mode]), log: log.log(), time: time,
      shutdown: try stop.signal())
    var hasRun = false
    let handler = TestHandler { event, _ in
      time.advance(by: .seconds(2))
      stop.stop()
      return Response(json: event.bytes).then { hasRun = true }
    }
    var loop = InvocationLoop(function: handler, api: api, log: log.log(), mark: nil)
    try loop.run(within: nil)
    #expect(server.requests(atLeast: 2).last?.text == "1")
    #expect(hasRun == runs)
    #expect(log.lines.count { $0.contains("the-id\tSkipped 1 of 1 closures") } == (runs ? 0 : 1))
  }
}
