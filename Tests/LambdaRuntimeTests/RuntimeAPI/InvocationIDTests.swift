import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

@Suite struct `The invocation ID of an answer` {
  private struct Broken: Error {}

  private let field = "Lambda-Runtime-Invocation-Id"
  /// Fails, streams, breaks a stream off or echoes, depending on the event.
  private let handler = TestHandler { event, _ in
    switch String(decoding: event.bytes, as: UTF8.self) {
    case "fail": throw Broken()
    case "stream": return Response(streaming: "text/plain") { try $0.write([0x31]) }
    case "break":
      return Response(streaming: "text/plain") { stream in
        try stream.write([0x31])
        throw Broken()
      }
    case "early": return Response(streaming: "text/plain") { _ in throw Broken() }
    case "large": return Response(json: [UInt8](repeating: 0x31, count: 7_000_000))
    default: return Response(json: event.bytes)
    }
  }

  @Test(arguments: ["1", "fail", "stream", "break", "early", "large"])
  func `repeats that of the event`(body: String) throws {
    let run = try ServedRuntime(
      script: [event(body, id: "a", [(field, "first; 1")]), accepted, event("2", id: "b"), accepted],
      handler: handler)
    // The second event has none.
    #expect(run.answers.map { $0[field] } == ["first; 1", nil])
  }

  @Test func `stays the same when a response is sent again, and differs for the next attempt of an event`()
    throws
  {
    let run = try ServedRuntime(
      script: [
        event("1", id: "a", [(field, "i-1")]), .sendAndClose([]), .response(410, body: "Invoke timeout"),
        event("1", id: "a", [(field, "i-2")]), accepted,
      ], handler: handler)
    #expect(run.answers.map { $0[field] } == ["i-1", "i-1", "i-2"])
    #expect(Set(run.answers.map(\.path)) == ["/2018-06-01/runtime/invocation/a/response"])
  }

  @Test(arguments: ["1", "fail", "stream", "break"])
  func `that is rejected as too late is logged once, and the next event is handled`(body: String) throws {
    let run = try ServedRuntime(
      script: [
        event(body, id: "a", [(field, "i-1")]),
        .response(410, body: #"{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"}"#),
        event("2", id: "b", [(field, "i-2")]), accepted,
      ], handler: handler)
    #expect(run.answers.map { $0[field] } == ["i-1", "i-2"], "the late answer was sent again")
    #expect(
      run.log.count { $0.contains("status 410") && $0.contains("[WARN]") && $0.contains("too late") } == 1)
    #expect(run.error == nil)
  }

  @Test func `is repeated byte for byte`() throws {
    let fields = [(name: "Lambda-Runtime-Aws-Request-Id", value: "a"), (name: field, value: "~")]
    let reply = LoopbackServer.Reply.response(200, fields, body: Array("1".utf8)).map {
      $0 == UInt8(ascii: "~") ? 0xE9 : $0
    }
    let run = try ServedRuntime(script: [.send(reply), accepted], handler: handler)
    let line = Array("\r\n\(field): ".utf8) + [0xE9, 0x0D, 0x0A]
    let raw = try #require(run.answers.first?.raw)
    #expect(raw.indices.contains { raw[$0...].starts(with: line) })
  }

  @Test func `is also that of the error that replaces a broken stream`() throws {
    let run = try ServedRuntime(
      script: [event("stream", id: "a", [(field, "i-1")]), .sendAndClose([]), accepted], handler: handler)
    #expect(run.answers.map { $0.path.split(separator: "/").last } == ["response", "error"])
    #expect(run.answers.map { $0[field] } == ["i-1", "i-1"])
  }
}

@Suite struct `An invocation's deadline` {
  @Test(arguments: ["1", "1600000000000"], ["on-demand", "lambda-managed-instances"])
  func `may be past, and the invocation is still answered`(deadline: String, mode: String) throws {
    let events = ["1", "stream"].map {
      event($0, without: ["Lambda-Runtime-Deadline-Ms"], [("Lambda-Runtime-Deadline-Ms", deadline)])
    }
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_INITIALIZATION_TYPE": mode],
      script: [events[0], accepted, events[1], accepted],
      handler: TestHandler { event, context in
        #expect(context.remainingTime == .zero)
        guard event.bytes == Array("stream".utf8) else { return Response(json: event.bytes) }
        return Response(streaming: "text/plain") { try $0.write(Array("streamed".utf8)) }
      })
    #expect(run.answers.map(\.text) == ["1", "streamed"])
    #expect(run.log.isEmpty)
  }

  @Test(
    arguments: [
      (600, nil, 600), (7_200, nil, 5_400), (5, nil, 10), (-5, nil, 5_400), (600, "on-demand", 600),
      (5, "lambda-managed-instances", 5_400), (-5, "lambda-managed-instances", 5_400),
    ] as [(Int, String?, Int)])
  func `limits a stream, unless it isn't enforced`(remaining: Int, mode: String?, seconds: Int) throws {
    let time = ManualTime()
    let variables = mode.map { ["AWS_LAMBDA_INITIALIZATION_TYPE": $0] } ?? [:]
    let api = RuntimeAPI(
      try RuntimeEndpoint(parsing: "127.0.0.1:1"), environment: Environment(variables),
      log: Log { _, _ in }, time: time, shutdown: nil)
    let deadline = time.wallTime.advanced(by: .seconds(remaining))
    #expect(api.allowance(until: deadline) == .seconds(seconds))
  }
}
