import Dispatch
import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

/// What a server does with a connection that it gives up, and what a runtime makes of that.
struct StaleConnectionTests {
  private static func bytes(_ reply: LoopbackServer.Reply) -> [UInt8] {
    guard case .send(let bytes) = reply else { return [] }
    return bytes
  }

  private static let timeout: [UInt8] = LoopbackServer.Reply.response(
    408, [("Connection", "close")], body: [])
  private static let acceptedBytes: [UInt8] = LoopbackServer.Reply.response(202, body: [])

  /// Serves one event, after which the server sends `unasked` and closes the connection while the handler works.
  private func requests(unasked: [UInt8], answer: Response) throws -> [LoopbackServer.Request] {
    let stop = try StopSwitch()
    let handlerWorks = DispatchSemaphore(value: 0)
    let server = try LoopbackServer { request in
      if request.method == "POST" {
        stop.stop()
        return accepted
      }
      return .sendUnasked(Self.bytes(event("1"))) {
        handlerWorks.wait()
        return unasked
      }
    }
    try serve(
      in: Environment(["AWS_LAMBDA_RUNTIME_API": server.authority]), log: Log { _, _ in },
      until: try stop.signal()
    ) {
      TestHandler { _, _ in
        handlerWorks.signal()
        #expect(server.hasClosed(1))
        return answer
      }
    }
    return server.requests(atLeast: 2)
  }

  @Test(arguments: [timeout, acceptedBytes, []])
  func `sends a response on a new connection when something arrived on the idle one`(unasked: [UInt8]) throws
  {
    let requests = try requests(unasked: unasked, answer: Response(json: Array("1".utf8)))
    #expect(requests.map(\.method) == ["GET", "POST"])
    #expect(requests.map(\.connection) == [1, 2])
  }

  @Test(arguments: [timeout, acceptedBytes, []])
  func `streams a response on a new connection when something arrived on the idle one`(unasked: [UInt8])
    throws
  {
    let answer = Response(streaming: "text/plain") { stream in try stream.write(Array("1".utf8)) }
    let requests = try requests(unasked: unasked, answer: answer)
    #expect(requests.map(\.connection) == [1, 2])
    #expect(requests.last?.text == "1")
  }

  @Test func `doesn't take bytes behind an event for the answer to its response`() throws {
    let both = Self.bytes(event("1")) + Self.acceptedBytes
    let run = try ServedRuntime(script: [.send(both), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.connection) == [2])
  }

  @Test func `doesn't take bytes behind an answer for the next event`() throws {
    let both = Self.acceptedBytes + Self.bytes(event("ghost", id: "ghost"))
    let run = try ServedRuntime(
      script: [event("1"), .send(both), event("2"), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.requests.map(\.connection) == [1, 1, 2, 2, 2])
  }

  @Test func `sends a response again that a reused connection answers with 408`() throws {
    let run = try ServedRuntime(
      script: [
        event("1"), .sendAndClose(Self.timeout), .response(403, body: "because"), event("2", id: "b"),
        accepted,
      ], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "1", "2"])
    #expect(run.answers.map(\.connection) == [1, 2, 2])
    // It never arrived, so a refusal of the second one is a refusal.
    #expect(run.log.contains { $0.contains("[ERROR]") && $0.contains("refused with status 403") })
  }

  @Test func `takes a 408 on a new connection for a refusal, and gives the connection up`() throws {
    let run = try ServedRuntime(
      script: [event("1", [("Connection", "close")]), .send(Self.timeout), event("2", id: "b"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.requests.map(\.connection) == [1, 2, 3, 3, 3])
    #expect(run.log.contains { $0.contains("[ERROR]") && $0.contains("refused with status 408") })
  }

  @Test func `polls again at once, and says nothing, when a reused connection answers with 408`() throws {
    let run = try ServedRuntime(
      script: [event("1"), accepted, .sendAndClose(Self.timeout), event("2"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.log.isEmpty)
  }

  @Test(arguments: [[], timeout])
  func `sends a response again at shutdown if the connection was stale`(reply: [UInt8]) throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { request in
      if request.method == "GET" { return event("1") }
      return request.connection == 1 ? .sendAndClose(reply) : accepted
    }
    try serve(
      in: Environment(["AWS_LAMBDA_RUNTIME_API": server.authority]), log: Log { _, _ in },
      until: try stop.signal()
    ) {
      TestHandler { event, _ in
        stop.stop()
        return Response(json: event.bytes)
      }
    }
    #expect(server.requests(atLeast: 3).map(\.method) == ["GET", "POST", "POST"])
  }
}
