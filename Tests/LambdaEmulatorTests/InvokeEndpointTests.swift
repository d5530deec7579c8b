import LambdaEmulator
import NIOCore
import NIOHTTP1
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the Invoke operation, in which the test itself uses the Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator's Invoke operation` {
  private let next = "/2018-06-01/runtime/invocation/next"
  private static let arn = "arn:aws:lambda:us-east-1:012345678912:function"
  private static let tail = [HeaderField("X-Amz-Log-Type", "Tail")]
  private static func type(_ type: String) -> [HeaderField] { [HeaderField("X-Amz-Invocation-Type", type)] }

  private func target(_ name: String) -> String { "/2015-03-31/functions/\(name)/invocations" }

  @Test(arguments: [
    "function", "resize", "rotate", "rot%61te", "resize:$LATEST", "resize%3A7", "\(Self.arn):rotate",
    "\(Self.arn):resize:live", "arn%3Aaws%3Alambda%3Aus-east-1%3A012345678912%3Afunction%3Aresize",
    "012345678912:function:resize",
  ])
  func `finds a function by its name, its ARN and a part of its ARN`(name: String) async throws {
    try await withEmulator(handlers: ["resize", "rotate"]) { _, client in
      let answer = try await client.post(target(name), headers: Self.type("DryRun"))
      #expect(answer.status == 204 && answer.body == [], "\(answer.text)")
      #expect(answer.header("Content-Length") == nil)
    }
  }

  @Test(arguments: [
    "nope", "resiz", "Resize", ":resize", "\(Self.arn):", "\(Self.arn):nope", "a:b:resize", "resize:1:2", "%",
    "%ZZ",
    "%FF", "resize%00",
  ])
  func `names the functions that exist if it doesn't find one`(name: String) async throws {
    try await withEmulator(handlers: ["resize", "rotate"]) { _, client in
      let answer = try await client.post(target(name))
      #expect(answer.status == 404)
      #expect(answer.header("X-Amzn-ErrorType") == "ResourceNotFoundException")
      #expect(
        answer.text.contains("The functions are 'function', 'resize', 'rotate'."), "\(answer.text)")
      #expect(answer.text.contains("--handler NAME"))
    }
    try await withEmulator { _, client in
      let answer = try await client.post(target("nope"))
      #expect(
        answer.text.contains("The functions are 'function', 'device-defender'."), "\(answer.text)")
    }
  }

  @Test func `runs each function in a separate process, with its handler and its Runtime API`() async throws {
    let directory = try TemporaryDirectory()
    let script = """
      echo "$AWS_LAMBDA_RUNTIME_API $_HANDLER $AWS_LAMBDA_FUNCTION_NAME" >"$OUT/$_HANDLER.new"
      mv "$OUT/$_HANDLER.new" "$OUT/$_HANDLER"
      exec sleep 600
      """
    let handlers = ["resize", "rotate"]
    try await withEmulator(script: script, environment: ["OUT": directory.path], handlers: handlers) {
      emulator, client in
      async let first = client.post(target("resize"), "1")
      async let second = client.post(target("rotate"), "2")
      for (handler, event) in zip(handlers, ["1", "2"]) {
        try await eventually { (try? fileContents("\(directory.path)/\(handler)")) != nil }
        let text = String(decoding: try fileContents("\(directory.path)/\(handler)"), as: UTF8.self)
        let words = text.split { $0.isWhitespace }
        #expect(words.dropFirst() == [Substring(handler), Substring(handler)])
        let port = try #require(words.first?.split(separator: ":").last.flatMap { Int($0) })
        let runtime = HTTPTestClient(port: port)
        let polled = try await runtime.get(next)
        #expect(polled.text == event)
        #expect(polled.header("Lambda-Runtime-Invoked-Function-Arn") == "\(Self.arn):\(handler)")
        #expect(try await runtime.post(polled.responseTarget, "by \(handler)").status == 202)
      }
      #expect(try await first.text == "by resize")
      #expect(try await second.text == "by rotate")
      #expect(emulator.invokeURLs.map { $0.split(separator: "/").dropLast().last } == ["resize", "rotate"])
    }
  }

  // MARK: Invocation types

  @Test func `starts nothing for a dry run`() async throws {
    let events = Mutex<[String]>([])
    try await withEmulator(report: { event in events.withLock { $0.append("\(event)") } }) {
      _, client async throws in
      #expect(try await client.post(invokeTarget, "{}", headers: Self.type("DryRun")).status == 204)
    }
    #expect(events.withLock { $0 } == [])
  }

  @Test func `answers an asynchronous invocation before the function does`() async throws {
    try await withEmulator { _, client in
      let answer = try await client.post(invokeTarget, "later", headers: Self.type("Event"))
      #expect(answer.status == 202 && answer.body == [])
      let event = try await client.get(next)
      #expect(event.text == "later")
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
    }
  }

  @Test func `limits the number and the size of asynchronous invocations`() async throws {
    try await withEmulator { _, client in
      for _ in 1...100 {
        #expect(try await client.post(invokeTarget, "{}", headers: Self.type("Event")).status == 202)
      }
      let refused = try await client.post(invokeTarget, "{}", headers: Self.type("Event"))
      #expect(refused.status == 429)
      #expect(refused.text.contains("100 asynchronous invocations are waiting"))
      // One that ends makes room.
      let event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
      _ = try await client.get(next)
      var status = 429
      try await eventually {
        status != 429
      } meanwhile: {
        status = try await client.post(invokeTarget, "{}", headers: Self.type("Event")).status
      }
      #expect(status == 202)
      let large = String(repeating: "7", count: 1024 * 1024 + 1)
      #expect(try await client.post(invokeTarget, large, headers: Self.type("Event")).status == 413)
    }
  }

  @Test(
    arguments: [
      ("X-Amz-Invocation-Type", "event", "RequestResponse, Event or DryRun"),
      ("X-Amz-Invocation-Type", "", "RequestResponse, Event or DryRun"),
      ("X-Amz-Log-Type", "tail", "Tail or None"),
    ])
  func `rejects other values, and names those that exist`(
    header: String, value: String, allowed: String
  ) async throws {
    try await withEmulator { _, client in
      let answer = try await client.post(
        invokeTarget, "{}", headers: [HeaderField(HeaderName(header), value)])
      #expect(answer.status == 400)
      #expect(answer.text.contains(allowed) && answer.text.contains(header), "\(answer.text)")
    }
  }

  // MARK: The log

  @Test func `returns the last 4 KB of the invocation's log if the caller asks for it`() async throws {
    let directory = try TemporaryDirectory()
    let script = """
      i=0; while [ $i -lt 300 ]; do i=$((i + 1)); echo "line $i of the first invocation"; done
      echo >"$OUT/written"
      exec sleep 600
      """
    try await withEmulator(script: script, environment: ["OUT": directory.path]) { _, client in
      async let first = client.post(invokeTarget, headers: Self.tail)
      try await eventually { (try? fileContents("\(directory.path)/written")) != nil }
      var event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
      let log = try await logText(in: first)
      #expect(log.utf8.count == 4_096)
      #expect(log.contains("\nline 300 of the first invocation\nEND RequestId: \(event.requestID)\nREPORT "))
      #expect(log.hasSuffix("\n") && !log.contains("line 100 "))
      // The next log has only its own lines.
      async let second = client.post(invokeTarget, headers: Self.tail)
      event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
      let lines = try await logText(in: second).split(separator: "\n").map { $0.prefix { $0 != " " } }
      #expect(lines == ["START", "END", "REPORT"])
      // And without the header there is none.
      async let third = client.post(invokeTarget, headers: [HeaderField("X-Amz-Log-Type", "None")])
      event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
      #expect(try await third.header("X-Amz-Log-Result") == nil)
    }
  }

  @Test(arguments: [false, true])
  func `returns the log of a streamed response with the complete response`(fails: Bool) async throws {
    try await withEmulator { _, client in
      async let answer = client.post(invokeTarget, headers: Self.tail)
      let event = try await client.get(next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"),
      ]
      _ = try await client.exchange(.POST, event.responseTarget, headers) { writer in
        for piece in ["one ", "two"] {
          try await writer.write(.body(.byteBuffer(ByteBuffer(string: piece))))
        }
        try await writer.write(.end(fails ? ["Lambda-Runtime-Function-Error-Type": "Function.Late"] : nil))
      }
      let received = try await answer
      #expect(received.text == (fails ? #"{"errorType":"Function.Late"}"# : "one two"))
      #expect(received.header("X-Amz-Function-Error") == (fails ? "Unhandled" : nil))
      let log = try logText(in: received)
      #expect(log.contains("\nEND RequestId: \(event.requestID)\nREPORT "))
      #expect(log.contains("Error Type: Function.Late") == fails)
    }
  }

  private func logText(in answer: HTTPTestClient.Response) throws -> String {
    let encoded = try #require(answer.header("X-Amz-Log-Result"))
    return String(decoding: try #require(base64Decoding(encoded)), as: UTF8.self)
  }

  @Test func `advises to select a handler if the program doesn't have it`() async throws {
    let notices = Mutex<[String]>([])
    let (starts, started) = AsyncStream.makeStream(of: Void.self)
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output = event { started.yield() }
      if case .notice(let text) = event { notices.withLock { $0.append(text) } }
    }
    try await withEmulator(script: "echo up; exec sleep 600", report: report) { emulator, client in
      async let result = emulator.invoke(InvocationRequest(event: []))
      let document = #"{"errorType":"Runtime.UnknownHandler","errorMessage":"known: 'a'"}"#
      let type = [HeaderField("Lambda-Runtime-Function-Error-Type", "Runtime.UnknownHandler")]
      var iterator = starts.makeAsyncIterator()
      _ = await iterator.next()
      let taken = try await client.post("/2018-06-01/runtime/init/error", document, headers: type)
      #expect(taken.status == 202)
      #expect(await result.complete().body == Array(document.utf8))
    }
    #expect(notices.withLock { $0 }.contains { $0.contains("--handler NAME") })
  }

  // MARK: Restart

  @Test func `ends the process after its invocation on restart, and starts it again for the next`()
    async throws
  {
    let (pids, started) = AsyncStream.makeStream(of: Int32.self)
    let notices = Mutex<[String]>([])
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output(let line) = event, let process = Int32(line) { started.yield(process) }
      if case .notice(let text) = event { notices.withLock { $0.append(text) } }
    }
    try await withEmulator(script: "echo $$; exec sleep 600", grace: .milliseconds(100), report: report) {
      emulator, client in
      async let first = client.post(invokeTarget, "1")
      var iterator = pids.makeAsyncIterator()
      let process = try #require(await iterator.next())
      var event = try await client.get(next)
      await emulator.restart()
      #expect(try await client.post(event.responseTarget, "one").status == 202)
      #expect(try await first.text == "one")
      // The process doesn't poll, as if the work after its response took long. It is ended after the grace period.
      async let second = client.post(invokeTarget, "2")
      let newProcess = try #require(await iterator.next())
      #expect(newProcess != process)
      event = try await client.get(next)
      #expect(event.text == "2")
      #expect(try await client.post(event.responseTarget, "two").status == 202)
      #expect(try await second.text == "two")
      // The process isn't idle yet, and a stop at the same time must not wait without end.
      await emulator.restart()
    }
    #expect(notices.withLock { $0 } == [])
  }
}
