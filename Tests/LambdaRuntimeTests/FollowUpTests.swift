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

  @Test(arguments: [("on-demand", false), ("lambda-managed-instances", true)])
  func `isn't started after the deadline, unless it isn't enforced`(mode: String, runs: Bool) throws {
    var hasRun = false
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_INITIALIZATION_TYPE": mode],
      script: [event("1", id: "a", endingIn: -1), accepted],
      handler: TestHandler { event, _ in Response(json: event.bytes).then { hasRun = true } })
    #expect(run.answers.map(\.text) == ["1"])
    #expect(hasRun == runs)
    #expect(run.log.contains { $0.contains("Skipped work after the response") } == !runs)
  }
}
