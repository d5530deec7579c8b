import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaRuntime

@Suite struct `The invocation loop` {
  @Test(arguments: [false, true])
  func `answers consecutive events on one connection`(ipv6: Bool) throws {
    let run = try ServedRuntime(
      ipv6: ipv6, script: [event("1", id: "a"), accepted, event("2", id: "b"), accepted],
      handler: TestHandler.echo)
    #expect(run.error == nil)
    #expect(
      run.requests.map(\.path) == [
        "/2018-06-01/runtime/invocation/next", "/2018-06-01/runtime/invocation/a/response",
        "/2018-06-01/runtime/invocation/next", "/2018-06-01/runtime/invocation/b/response",
        "/2018-06-01/runtime/invocation/next",
      ])
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(Set(run.requests.map(\.connection)) == [1])
    #expect(run.requests.allSatisfy { $0["Host"] != nil })
    #expect(run.requests.allSatisfy { $0["User-Agent"] == "LambdaRuntime-Swift/\(packageVersion)" })
    #expect(run.answers.allSatisfy { $0["Content-Type"] == "application/json" })
    #expect(run.log.isEmpty)
  }

  @Test func `connects to a Runtime API given by host name`() throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { _ in
      stop.stop()
      return .hold
    }
    let environment = Environment([
      "AWS_LAMBDA_RUNTIME_API": "localhost:\(server.port)", "http_proxy": "http://192.0.2.1",
    ])
    try serve(in: environment, log: Log { _, _ in }, until: try stop.signal()) { TestHandler.echo }
    #expect(server.requests(atLeast: 1).map { $0["Host"] } == ["localhost:\(server.port)"])
  }

  @Test func `enforces the time limit on a peer that sends byte by byte`() throws {
    let server = try LoopbackServer { _ in .sendInPieces(Array(repeating: [0x20], count: 100)) }
    let endpoint = try RuntimeEndpoint(parsing: "127.0.0.1:\(server.port)")
    var socket = try LoopbackSocket.connected(to: endpoint, within: .seconds(60))
    try socket.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), [])
    socket.begin(allowing: .zero)
    // There is always another byte to read, so only the time limit can end this loop.
    #expect(throws: ExchangeError.timedOut("receiving")) {
      for _ in 0..<50 {
        _ = try [UInt8](capacity: 1) { output throws(ExchangeError) in
          try socket.read(into: &output, filling: true)
        }
      }
    }
  }

  @Test func `stops while an event is stalled halfway`() throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { _ in .send([0x20]) }
    let endpoint = try RuntimeEndpoint(parsing: "127.0.0.1:\(server.port)")
    var socket = try LoopbackSocket.connected(to: endpoint, within: .seconds(60))
    try socket.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), [])
    socket.begin(allowing: .seconds(600), until: try stop.signal(), .end)
    let first = try [UInt8](capacity: 1) { output throws(ExchangeError) in
      try socket.read(into: &output, filling: true)
    }
    #expect(first == [0x20])
    stop.stop()
    #expect(throws: ExchangeError.shutdown) {
      _ = try [UInt8](capacity: 1) { output throws(ExchangeError) in
        try socket.read(into: &output, filling: true)
      }
    }
  }

  @Test(arguments: [LoopbackServer.Reply.hold, .sendAndClose([]), .sendAndClose(Array("HTTP/1.1 20".utf8))])
  func `doesn't retry an answer after a stop request`(reply: LoopbackServer.Reply) throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { $0.method == "GET" ? event("1", [("Connection", "close")]) : reply }
    let start = BootTime.now
    try serve(
      in: Environment(["AWS_LAMBDA_RUNTIME_API": server.authority]), log: Log { _, _ in },
      until: try stop.signal()
    ) {
      TestHandler { event, _ in
        stop.stop()
        return Response(json: event.bytes)
      }
    }
    #expect(start.duration(to: .now) < RuntimeConnection.exchangeTimeout)
    #expect(server.requests(atLeast: 2).map(\.method) == ["GET", "POST"])
  }

  @Test func `echoes six megabytes`() throws {
    let body = String(repeating: "0123456789abcdef", count: 393_216)
    let run = try ServedRuntime(script: [event(body), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.body) == [Array(body.utf8)])
  }

  @Test func `accepts a chunked event`() throws {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nLambda-Runtime-Aws-Request-Id: a\r\n\r\n"
    let pieces = [head, "2\r\n{\"", "\r\n3;x\r\na\":\r", "\n2\r\n1}\r\n0\r\n", "\r\n"].map { Array($0.utf8) }
    let run = try ServedRuntime(script: [.sendInPieces(pieces), accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == [#"{"a":1}"#])
  }

  @Test func `passes all of Lambda's metadata to the handler`() throws {
    let more: [(name: String, value: String)] = [
      ("Lambda-Runtime-Client-Context", #"{"custom":{"k":"v"}}"#),
      ("Lambda-Runtime-Cognito-Identity", #"{"i":"1"}"#),
      ("Lambda-Runtime-Aws-Tenant-Id", "tenant-7"),
    ]
    let variables = [
      "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
      "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
      "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    ]
    let handler = TestHandler { event, context in
      #expect(event.contentType == "application/json")
      #expect(context.requestID == "5f3a1c9e-7b2d-4e8f-a1b0-000000000001")
      #expect(context.deadline == WallTime(millisecondsSinceEpoch: 4_102_444_800_000))
      let instant = WallTime(millisecondsSinceEpoch: 4_102_444_799_000)
      #expect(context.remainingTime(at: instant) == .seconds(1))
      #expect(context.remainingTime(at: WallTime(millisecondsSinceEpoch: .max)) == .zero)
      #expect(context.invokedFunctionARN == "arn:aws:lambda:us-east-1:012345678912:function:f")
      #expect(context.traceID == "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1")
      #expect(context.clientContext == #"{"custom":{"k":"v"}}"#)
      #expect(context.cognitoIdentity == #"{"i":"1"}"#)
      #expect(context.tenantID == "tenant-7")
      #expect(context.functionName == "f")
      #expect(context.functionVersion == "$LATEST")
      #expect(context.memoryLimitInMegabytes == 128)
      #expect(context.logGroupName == "/aws/lambda/f")
      #expect(context.logStreamName == "s")
      return Response([1, 2], contentType: "image/png\r\nX: y")
    }
    let run = try ServedRuntime(
      variables: variables, script: [event("{}", more), accepted], handler: handler)
    #expect(run.answers.map { $0["Content-Type"] } == ["image/pngX: y"])
    #expect(run.answers.map(\.body) == [[1, 2]])
  }

  @Test(arguments: ["", "soon", "-1", "99999999999999999999", "9223372036854775807", "0"])
  func `handles an event with an invalid deadline`(deadline: String) throws {
    let reply = event(
      "1", without: ["Lambda-Runtime-Deadline-Ms"], [("Lambda-Runtime-Deadline-Ms", deadline)])
    let run = try ServedRuntime(script: [reply, accepted], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1"])
  }

  @Test func `handles an event that has only a request ID`() throws {
    let reply = LoopbackServer.Reply.response(200, [("lambda-runtime-aws-request-id", "a")], body: "1")
    let handler = TestHandler { event, context in
      #expect(event.contentType == nil)
      #expect(context.traceID == nil)
      #expect(context.deadline == WallTime(millisecondsSinceEpoch: .max))
      return Response(json: event.bytes)
    }
    let run = try ServedRuntime(script: [reply, accepted], handler: handler)
    #expect(run.answers.map(\.text) == ["1"])
  }

  static let lostPolls: [LoopbackServer.Reply] = [
    .response(500, body: "{}"), .response(403, body: "{}"), .response(204), .response(404),
    .sendAndClose([]), .sendAndClose(Array("HTTP/1.1 200 OK\r\nContent-Le".utf8)),
    .sendAndClose(
      Array("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\nContent-Length: 500\r\n\r\n{".utf8)),
    .sendAndClose(Array("SSH-2.0-OpenSSH\r\n\r\n".utf8)),
    event("{}", without: ["Lambda-Runtime-Aws-Request-Id"]), event("{}", id: ""),
    event("{}", id: "../../init/error?"),
    event("{}", id: String(repeating: "a", count: 300)),
    .send(Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".utf8)),
  ]

  @Test(arguments: lostPolls.indices)
  func `polls again after a poll that fails`(index: Int) throws {
    let lost = Self.lostPolls[index]
    let run = try ServedRuntime(script: [lost, lost, event("1"), accepted], handler: TestHandler.echo)
    #expect(run.error == nil)
    #expect(run.answers.map(\.text) == ["1"])
    #expect(run.polls == 4)
    #expect(run.log.count == 1, "one line for consecutive failures")
    #expect(run.log.allSatisfy { $0.contains("[WARN]") && $0.contains("Runtime API") })
  }

  @Test func `reconnects without a warning if the server closed the idle connection`() throws {
    let closing = LoopbackServer.Reply.sendAndClose(LoopbackServer.Reply.response(202, body: []))
    let run = try ServedRuntime(
      script: [event("1"), closing, event("2"), closing], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.requests.last?.connection == 3)
    #expect(run.log.isEmpty)
  }

  @Test(arguments: [400, 403, 410])
  func `resends a response without a reply, and then treats a rejection as delivered`(status: Int) throws {
    let run = try ServedRuntime(
      script: [
        event("1"), .sendAndClose([]), .sendAndClose(Array("HTTP/1.1 20".utf8)),
        .response(status, body: "because"), event("2", id: "b"), accepted,
      ], handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "1", "1", "2"])
    #expect(run.log.map { $0.prefix { $0 != "\t" } } == ["[WARN]", "[INFO]"])
    #expect(run.log.last?.contains("status \(status), probably because it had already received it") == true)
    #expect(run.log.last?.contains("because") == true)
  }

  @Test func `knows whether a request without a reply may have arrived`() throws {
    let server = try LoopbackServer { _ in .sendAndClose([]) }
    let connection = RuntimeConnection(
      to: try RuntimeEndpoint(parsing: server.authority), until: try StopSwitch().signal())
    let head = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".utf8)
    #expect(throws: ExchangeError.closed) { try connection.post(head, []) }
    #expect(connection.hasSentAll)
    let port = try freePort()
    let nobody = RuntimeConnection(
      to: try RuntimeEndpoint(parsing: "127.0.0.1:\(port)"), until: try StopSwitch().signal())
    #expect(throws: ExchangeError.unreachable(Errno(rawValue: ECONNREFUSED))) { try nobody.post(head, []) }
    #expect(!nobody.hasSentAll)
  }

  @Test func `handles the next event after a response that never gets a reply`() throws {
    let run = try ServedRuntime(
      script: [event("1")] + Array(repeating: .sendAndClose([]), count: 4) + [event("2", id: "b"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "1", "1", "1", "2"])
    #expect(run.log.contains { $0.contains("[ERROR]") })
  }

  @Test(arguments: [
    (400, ["status 400", "because"]), (403, ["status 403", "because"]), (500, ["status 500", "because"]),
    (413, ["status 413", "because", " 1 bytes", " 6291556"]),
  ])
  func `logs why a response was rejected, and handles the next event`(status: Int, words: [String]) throws {
    let run = try ServedRuntime(
      script: [event("1"), .response(status, body: "because"), event("2", id: "b"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1", "2"])
    #expect(run.log.count == 1)
    #expect(run.log.allSatisfy { line in line.contains("[ERROR]") && words.allSatisfy(line.contains) })
  }

  @Test func `reports a response above Lambda's size limit without sending it`() throws {
    let sizes = [6_291_556, 6_291_557]
    let handler = TestHandler { event, _ in
      Response(json: [UInt8](repeating: 0x31, count: Int(String(decoding: event.bytes, as: UTF8.self)) ?? 0))
    }
    let run = try ServedRuntime(
      script: sizes.flatMap { [event("\($0)", id: "a"), accepted] }, handler: handler)
    #expect(run.answers.map { $0.path.split(separator: "/").last } == ["response", "error"])
    #expect(run.answers.last?["Lambda-Runtime-Function-Error-Type"] == "Function.ResponseSizeTooLarge")
    #expect(run.log.contains { $0.contains("6291557") && $0.contains("6291556") })
  }

  @Test func `reports a handler's error as valid JSON, and handles the next event`() throws {
    struct OddFailure: Error, CustomStringConvertible { let description = "line one\nline \"two\" \u{1}ü😀" }
    let handler = TestHandler { event, _ in
      if event.bytes.count == 1 { throw OddFailure() }
      throw InvocationFailure(type: "Function.BadEvent", message: "no such key")
    }
    let run = try ServedRuntime(script: [event("1"), accepted, event("22"), accepted], handler: handler)
    #expect(run.answers.allSatisfy { $0.path.hasSuffix("/error") })
    let documents = try run.answers.map { try JSONValue(parsing: $0.body) }
    #expect(documents.map { $0["errorType"]?.string } == ["Function.OddFailure", "Function.BadEvent"])
    #expect(
      documents.map { $0["errorMessage"]?.string } == ["line one\nline \"two\" \u{1}ü😀", "no such key"])
    #expect(documents.map { $0["stackTrace"]?.array } == [[], []])
    #expect(
      run.answers.map { $0["Lambda-Runtime-Function-Error-Type"] }
        == ["Function.OddFailure", "Function.BadEvent"])
    let causes = try run.answers.map { request in
      try JSONValue(parsing: Array((request["Lambda-Runtime-Function-XRay-Error-Cause"] ?? "").utf8))
    }
    let messages = causes.map { $0["exceptions"]?.array?.first?["message"]?.string }
    #expect(messages == ["line one\nline \"two\" \u{1}ü😀", "no such key"])
    #expect(run.log.allSatisfy { $0.contains("5f3a1c9e-7b2d-4e8f-a1b0-000000000001") })
  }

  @Test(arguments: [
    ("Function.BadEvent", "Function.BadEvent"), ("Runtime.InvalidEvent", "Runtime.InvalidEvent"),
    ("BadEvent", "Function.BadEvent"), ("Function.badEvent", "Function.BadEvent"),
    ("Function.Bad Event 2!", "Function.BadEvent"), ("Function.Box<Int>", "Function.BoxInt"),
    ("", "Function.Failure"), ("Function.", "Function.Failure"), ("Function.A", "Function.Failure"),
    ("Function.Ab", "Function.Ab"), ("Function.1", "Function.Failure"),
    ("Function.É\r\nX-Y: 1", "Function.XY"), ("Runtime.", "Function.Failure"),
  ])
  func `converts an error type to the form that Lambda accepts`(type: String, kept: String) {
    #expect(InvocationFailure(type: type, message: "").keptType == kept)
  }

  @Test func `truncates a very long error message, and keeps the JSON valid`() throws {
    let failure = InvocationFailure(
      type: "Function.Long", message: String(repeating: "\"ü", count: 1_000_000))
    let message = try #require(try JSONValue(parsing: failure.document)["errorMessage"]?.string)
    #expect(message.utf8.count < 70_000)
    #expect(failure.xRayCause.utf8.count < 65_536)
    #expect(failure.xRayCause.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
    _ = try JSONValue(parsing: Array(failure.xRayCause.utf8))
  }

  @Test func `reports an initialisation failure to Lambda and returns`() throws {
    let failure = InvocationFailure(type: "Function.BadConfiguration", message: "THING is missing")
    let run = try ServedRuntime(script: [accepted]) { _ throws -> TestHandler in throw failure }
    #expect(run.error == .initialisationFailed(failure))
    #expect(run.requests.map(\.path) == ["/2018-06-01/runtime/init/error"])
    #expect(run.answers.first?["Lambda-Runtime-Function-Error-Type"] == "Function.BadConfiguration")
    let document = try JSONValue(parsing: run.answers.first?.body ?? [])
    #expect(document["errorMessage"] == .string("THING is missing"))
  }

  @Test func `gives up if nothing listens`() throws {
    let port = try freePort()
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_RUNTIME_API": "127.0.0.1:\(port)"], script: [], handler: TestHandler.echo)
    guard case .givingUp? = run.error else {
      Issue.record("it ended with \(String(describing: run.error))")
      return
    }
    #expect(run.log.count == 1)
  }

  @Test func `finishes the current invocation before it stops`() throws {
    let stop = try StopSwitch()
    let server = try LoopbackServer { $0.method == "GET" ? event("1") : accepted }
    let handler = TestHandler { event, _ in
      stop.stop()
      return Response(json: event.bytes)
    }
    try serve(
      in: Environment(["AWS_LAMBDA_RUNTIME_API": server.authority]), log: Log { _, _ in },
      until: try stop.signal()
    ) { handler }
    #expect(server.requests.map(\.method) == ["GET", "POST"])
  }

  @Test func `adds the request ID to log lines during an invocation only`() throws {
    let run = try ServedRuntime(script: [event("1", id: "the-id"), accepted, .response(500)]) { log in
      log.info("starting")
      return TestHandler { event, _ in
        log.info("working")
        return Response(json: event.bytes)
      }
    }
    #expect(run.log.map { $0.contains("the-id") } == [false, true, false])
  }
}
