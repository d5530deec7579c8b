import Dispatch
import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

/// Tests of connections that the server closes while they are idle.
@Suite struct `A stale connection` {
  private static func bytes(_ reply: LoopbackServer.Reply) -> [UInt8] {
    guard case .send(let bytes) = reply else { return [] }
    return bytes
  }

  private static let timeout: [UInt8] = LoopbackServer.Reply.response(
    408, [("Connection", "close")], body: [])
  private static let acceptedBytes: [UInt8] = LoopbackServer.Reply.response(202, body: [])

  /// Handles one event. While the handler works, the server sends `unasked` and closes the connection.
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
  func `isn't used for a response`(unasked: [UInt8]) throws {
    let requests = try requests(unasked: unasked, answer: Response(json: Array("1".utf8)))
    #expect(requests.map(\.method) == ["GET", "POST"])
    #expect(requests.map(\.connection) == [1, 2])
  }

  @Test(arguments: [timeout, acceptedBytes, []])
  func `isn't used for a stream`(unasked: [UInt8]) throws {
    let answer = Response(streaming: "text/plain") { stream in try stream.write(Array("1".utf8)) }
    let requests = try requests(unasked: unasked, answer: answer)
    #expect(requests.map(\.connection) == [1, 2])
    #expect(requests.last?.text == "1")
  }

  @Test func `is closed if bytes follow an event`() throws {
    let both = Self.bytes(event("1")) + Self.acceptedBytes
    let run = try ServedRuntime(script: [.send(both), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.connection) == [2])
  }

  @Test func `is closed if bytes follow a reply`() throws {
    let both = Self.acceptedBytes + Self.bytes(event("ghost", id: "ghost"))
    let run = try ServedRuntime(
      script: [event("1"), .send(both), event("2"), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.requests.map(\.connection) == [1, 1, 2, 2, 2])
  }

  @Test func `makes the runtime resend a response that got status 408`() throws {
    let run = try ServedRuntime(
      script: [
        event("1"), .sendAndClose(Self.timeout), .response(403, body: "because"), event("2", id: "b"),
        accepted,
      ], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "1", "2"])
    #expect(run.answers.map(\.connection) == [1, 2, 2])
    // The first one never arrived, so status 403 for the second one means that it was rejected.
    #expect(run.log.contains { $0.contains("[ERROR]") && $0.contains("status 403") })
  }

  @Test func `isn't the reason for status 408 on a new connection`() throws {
    let run = try ServedRuntime(
      script: [event("1", [("Connection", "close")]), .send(Self.timeout), event("2", id: "b"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.requests.map(\.connection) == [1, 2, 3, 3, 3])
    #expect(run.log.contains { $0.contains("[ERROR]") && $0.contains("status 408") })
  }

  @Test func `makes the runtime poll again without a warning after status 408`() throws {
    let run = try ServedRuntime(
      script: [event("1"), accepted, .sendAndClose(Self.timeout), event("2"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.log.isEmpty)
  }

  @Test(arguments: [[], timeout])
  func `makes the runtime resend a response even after a stop request`(reply: [UInt8]) throws {
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
