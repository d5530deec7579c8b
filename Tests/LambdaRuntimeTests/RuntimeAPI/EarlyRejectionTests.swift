import Platform
import TestSupport
import Testing

@testable import LambdaRuntime

/// Tests with a Runtime API that rejects an answer after its head, and closes the connection without reading the body.
@Suite(.timeLimit(.minutes(5))) struct `A rejection before the whole answer was sent` {
  /// Larger than the buffers of two sockets, so that the runtime is still sending when the connection is closed.
  private static let body = [UInt8](repeating: 0x31, count: 6_000_000)

  private var handler: TestHandler {
    TestHandler { event, _ in
      guard event.bytes == Array("stream".utf8) else { return Response(json: Self.body) }
      return Response(streaming: "text/plain") { stream in
        while true { try stream.write(Self.body) }
      }
    }
  }

  /// Serves one event, whose answer gets `rejection` before its body is read.
  private func run(_ body: String, _ rejection: [UInt8]) throws -> ServedRuntime {
    try ServedRuntime(
      rejects: { $0.path.hasSuffix("/response") ? rejection : nil }, script: [event(body)],
      handler: handler)
  }

  @Test(arguments: ["echo", "stream"], [(410, "[WARN]", "too late"), (413, "[ERROR]", "too large")])
  func `is logged, and nothing is sent again`(body: String, reply: (Int, String, String)) throws {
    let (status, level, words) = reply
    let run = try run(body, LoopbackServer.Reply.response(status, body: Array("because".utf8)))
    #expect(run.requests.map(\.method) == ["GET", "POST", "GET"])
    #expect(run.log.count == 1)
    #expect(run.log.allSatisfy { $0.contains(level) && $0.contains(words) && $0.contains("because") })
  }

  @Test(arguments: [
    [], Array("HTTP/1.1 41".utf8), LoopbackServer.Reply.response(202, body: []),
  ])
  func `isn't assumed if the reply is missing, cut off or no rejection`(reply: [UInt8]) throws {
    let run = try run("echo", reply)
    #expect(run.answers.count == 4)
    #expect(run.log.contains { $0.contains("Can't deliver the response") })
  }
}
