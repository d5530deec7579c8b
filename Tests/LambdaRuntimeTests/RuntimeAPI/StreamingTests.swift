import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaRuntime

@Suite struct `A streamed response` {
  private struct Broken: Error, CustomStringConvertible { let description = "broken\n\"half\"" }

  @Test func `sends each write as a chunk, except an empty one`() throws {
    let run = try ServedRuntime(
      script: [event("{}", id: "a"), accepted, event("{}", id: "b"), accepted],
      handler: TestHandler { _, _ in
        Response(streaming: "text/plain") { stream in
          try stream.write(Array("one".utf8))
          try stream.write([])
          try stream.write([UInt8](repeating: 0x78, count: 100_000))
        }
      })
    #expect(run.answers.map(\.path).allSatisfy { $0.hasSuffix("/response") })
    #expect(run.answers.map(\.chunkSizes) == [[3, 100_000], [3, 100_000]])
    #expect(run.answers.first?["Lambda-Runtime-Function-Response-Mode"] == "streaming")
    #expect(run.answers.first?["Content-Type"] == "text/plain")
    #expect(run.answers.first?["Content-Length"] == nil)
    #expect(run.answers.first?["Lambda-Runtime-Function-Error-Type"] == nil)
    #expect(Set(run.requests.map(\.connection)) == [1])
    #expect(run.log.isEmpty)
  }

  @Test func `may be empty`() throws {
    let run = try ServedRuntime(
      script: [event(), accepted], handler: TestHandler { _, _ in Response(streaming: "text/plain") { _ in } }
    )
    #expect(run.answers.map(\.body) == [[]])
    #expect(run.answers.first?["Transfer-Encoding"] == "chunked")
  }

  @Test func `starts with the prelude of an HTTP response`() throws {
    let prelude = HTTPPrelude(
      statusCode: 418, headers: [HeaderField("X-Pot", "\"tea\"")], cookies: ["a=b", "c=d"])
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in
        Response(streaming: prelude) { try $0.write(Array("short and stout".utf8)) }
      })
    let answer = try #require(run.answers.first)
    #expect(answer["Content-Type"] == "application/vnd.awslambda.http-integration-response")
    let parts = answer.body.split(separator: 0, maxSplits: 1)
    let document = try JSONValue(parsing: Array(try #require(parts.first)))
    #expect(document["statusCode"]?.integer() == 418)
    #expect(document["headers"]?["X-Pot"]?.string == "\"tea\"")
    #expect(document["cookies"]?.array == [.string("a=b"), .string("c=d")])
    #expect(answer.body.count { $0 == 0 } == 8)
    #expect(answer.text.hasSuffix("\0\0short and stout"))
  }

  @Test(arguments: [
    (HTTPPrelude(statusCode: 99), "the status code is 99. Use a number from 100 to 599"),
    (HTTPPrelude(statusCode: -1), "the status code is -1"),
    (HTTPPrelude(headers: [HeaderField("X-A", "1\r\nX-B: 2")]), "the value of 'X-A' has a control character"),
    (HTTPPrelude(headers: [HeaderField("X-A", "1\0")]), "the value of 'X-A' has a control character"),
    (HTTPPrelude(headers: [HeaderField("X-A: 1\r\nX-B", "2")]), "a header has an invalid name"),
    (HTTPPrelude(headers: [HeaderField("", "2")]), "a header has an invalid name"),
    (HTTPPrelude(headers: [HeaderField("X Y", "2")]), "a header has an invalid name"),
    (
      HTTPPrelude(headers: [HeaderField("Content-Type", "text/html"), HeaderField("content-type", "a/b")]),
      "the header 'content-type' occurs more than once"
    ),
    (HTTPPrelude(headers: [HeaderField("set-cookie", "a=b")]), "Put its value into 'cookies'"),
    (HTTPPrelude(cookies: ["a=b", "c=d\nX: y"]), "the value of 'Set-Cookie' has a control character"),
  ])
  func `fails if its prelude isn't valid in HTTP`(prelude: HTTPPrelude, problem: String) throws {
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in Response(streaming: prelude) { try $0.write([0x31]) } })
    let answer = try #require(run.answers.first)
    #expect(answer.path.hasSuffix("/error"))
    #expect(answer["Lambda-Runtime-Function-Error-Type"] == "Function.BadResponse")
    let message = try JSONValue(parsing: answer.body)["errorMessage"]?.string
    #expect(message?.contains("The HTTP response can't be streamed: ") == true)
    #expect(message?.contains(problem) == true, "\(message ?? "no message")")
  }

  @Test func `reports an error after the first write in its trailers`() throws {
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in
        Response(streaming: "text/plain") { stream in
          try stream.write(Array("half".utf8))
          throw Broken()
        }
      })
    let answer = try #require(run.answers.first)
    #expect(answer.text == "half")
    #expect(answer["Lambda-Runtime-Function-Error-Type"] == "Function.Broken")
    let body = try #require(answer["Lambda-Runtime-Function-Error-Body"].flatMap(base64Decoding))
    #expect(try JSONValue(parsing: body)["errorMessage"] == .string("broken\n\"half\""))
    let declared = answer.fields.filter { $0.name == "Trailer" }.map(\.value)
    #expect(declared == ["Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"])
    #expect(run.log.count == 1)
  }

  @Test(arguments: [String(repeating: "x", count: 60_000), String(repeating: "\u{1}", count: 60_000)])
  func `keeps its trailers below the limit of the Runtime API's server`(message: String) throws {
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in
        Response(streaming: "text/plain") { stream in
          try stream.write(Array("half".utf8))
          throw InvocationFailure(type: "Function.Wordy", message: message)
        }
      })
    let answer = try #require(run.answers.first)
    let encoded = try #require(answer["Lambda-Runtime-Function-Error-Body"])
    #expect(encoded.utf8.count < 3_700)
    let body = try #require(base64Decoding(encoded))
    #expect(try JSONValue(parsing: body)["errorMessage"]?.string?.hasSuffix("…") == true)
  }

  @Test func `is replaced by an error if it fails before its first byte`() throws {
    let run = try ServedRuntime(
      script: [event(), accepted],
      handler: TestHandler { _, _ in Response(streaming: "text/plain") { _ in throw Broken() } })
    #expect(run.answers.map { $0.path.hasSuffix("/error") } == [true])
  }

  @Test func `is reported as broken if the connection fails`() throws {
    let run = try ServedRuntime(
      script: [event(), .sendAndClose([]), accepted, event("2", id: "b"), accepted],
      handler: TestHandler { event, _ in
        guard event.bytes == Array("{}".utf8) else { return Response(json: event.bytes) }
        return Response(streaming: "text/plain") { try $0.write(Array("half".utf8)) }
      })
    #expect(run.answers.map { $0.path.split(separator: "/").last } == ["response", "error", "response"])
    #expect(run.answers[1]["Lambda-Runtime-Function-Error-Type"] == "Runtime.StreamBroken")
    #expect(run.error == nil)
  }

  @Test func `counts as delivered if only the reply to the whole stream was lost`() throws {
    let run = try ServedRuntime(
      script: [event(), .sendAndClose([]), .response(403, body: "{}"), event("2", id: "b"), accepted],
      handler: TestHandler { event, _ in
        guard event.bytes == Array("{}".utf8) else { return Response(json: event.bytes) }
        return Response(streaming: "text/plain") { try $0.write(Array("whole".utf8)) }
      })
    #expect(run.answers.map { $0.path.split(separator: "/").last } == ["response", "error", "response"])
    #expect(run.log.contains { $0.contains("[INFO]") })
    #expect(run.log.count { $0.contains("[ERROR]") } == 1)
  }

  @Test func `uses a new connection if the server closed the old one`() throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { request in
      guard request.method == "GET" else { return accepted }
      guard request.connection < 3 else {
        stop.stop()
        return .hold
      }
      // Closes the connection without announcing it.
      return .sendAndClose(
        LoopbackServer.Reply.response(200, [("Lambda-Runtime-Aws-Request-Id", "a")], body: Array("{}".utf8)))
    }
    var number = 0
    let environment = Environment(["AWS_LAMBDA_RUNTIME_API": server.authority])
    try serve(in: environment, log: Log { _, _ in }, until: try stop.signal()) {
      TestHandler { _, _ in
        number += 1
        #expect(server.hasClosed(number))
        return Response(streaming: "text/plain") { try $0.write([0x31]) }
      }
    }
    let answers = server.requests.filter { $0.method == "POST" }
    #expect(answers.map(\.text) == ["1", "1"])
    #expect(answers.map(\.connection) == [2, 3], "a stream used the connection of its event")
  }
}
