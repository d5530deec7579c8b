import Glibc
import LambdaEmulator
import NIOCore
import NIOHTTP1
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the emulator in which the test itself uses the Runtime API. The process that the emulator starts only sleeps.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator` {
  private let next = "/2018-06-01/runtime/invocation/next"

  @Test func `hands out an event with its context, and returns the response`() async throws {
    try await withEmulator { emulator, client in
      let asked = WallTime.now
      async let answer = client.post(
        invokeTarget, #"{"reports":1}"#,
        headers: [
          HeaderField("X-Amz-Client-Context", base64(Array("{\n \"custom\": {\"k\": \"v\"}}".utf8))),
          HeaderField("X-Amzn-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
          HeaderField("X-Amz-Tenant-Id", "tenant-7"),
        ])
      let event = try await client.get(next)
      #expect(event.status == 200)
      #expect(event.text == #"{"reports":1}"#)
      #expect(event.header("Content-Type") == "application/json")
      #expect(event.header("Lambda-Runtime-Client-Context") == #"{"custom":{"k":"v"}}"#)
      #expect(event.header("Lambda-Runtime-Trace-Id") == "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
      #expect(event.header("Lambda-Runtime-Aws-Tenant-Id") == "tenant-7")
      #expect(
        event.header("Lambda-Runtime-Invoked-Function-Arn")
          == "arn:aws:lambda:us-east-1:012345678912:function:device-defender")
      let deadline = try #require(event.header("Lambda-Runtime-Deadline-Ms").flatMap { Int64($0) })
      // The timeout started at some time between the call and now, and the deadline is in whole milliseconds.
      let end = WallTime(millisecondsSinceEpoch: deadline)
      #expect(asked.duration(to: end) > .milliseconds(59_999))
      #expect(WallTime.now.duration(to: end) <= .seconds(60))
      let taken = try await client.post(
        event.responseTarget, "{}", headers: [HeaderField("Content-Type", "a/b")])
      #expect(taken.status == 202)
      #expect(taken.text == #"{"status":"OK"}"#)
      let received = try await answer
      #expect(received.status == 200)
      #expect(received.text == "{}")
      #expect(received.header("Content-Type") == "a/b")
      #expect(received.header("X-Amz-Function-Error") == nil)
      #expect(received.header("X-Amzn-RequestId") == event.requestID)
    }
  }

  @Test func `passes on an identity, and creates a trace if the caller sends none`() async throws {
    try await withEmulator { emulator, client in
      var request = InvocationRequest(event: [0, 0xFF])
      request.cognitoIdentity = #"{"cognitoIdentityId":"a"}"#
      request.clientContext = #"{"custom":{"é":"\u0001"}}"#
      let asked = request
      async let result = emulator.invoke(asked)
      let event = try await client.get(next)
      #expect(event.body == [0, 0xFF])
      #expect(event.header("Lambda-Runtime-Cognito-Identity") == request.cognitoIdentity)
      #expect(event.header("Lambda-Runtime-Client-Context") == request.clientContext)
      let parts = try #require(event.header("Lambda-Runtime-Trace-Id")).split(separator: ";")
      #expect(parts.map { $0.prefix { $0 != "=" } } == ["Root", "Parent", "Sampled"])
      #expect(parts[0].utf8.count == "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".utf8.count)
      #expect(try await client.post(event.responseTarget).status == 202)
      #expect(await result.failure == nil)
    }
  }

  @Test func `handles concurrent invocations one after another`() async throws {
    try await withEmulator { emulator, client in
      let events = (1...5).map { #"{"n":\#($0)}"# }
      try await withThrowingTaskGroup { group in
        for event in events {
          group.addTask { (event, try await client.post(invokeTarget, event).text) }
        }
        for _ in events {
          let event = try await client.get(next)
          // Echo the event. Each caller must get its own event back.
          #expect(try await client.post(event.responseTarget, event.text).status == 202)
        }
        var answered: Set<String> = []
        for try await (event, answer) in group {
          #expect(event == answer)
          answered.insert(answer)
        }
        #expect(answered == Set(events))
      }
    }
  }

  @Test func `marks a failed invocation like Lambda`() async throws {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      let document = #"{"errorMessage":"no","errorType":"Function.No"}"#
      let type = HeaderField("Lambda-Runtime-Function-Error-Type", "Function.No")
      #expect(try await client.post(event.errorTarget, document, headers: [type]).status == 202)
      let received = try await answer
      #expect(received.status == 200)
      #expect(received.header("X-Amz-Function-Error") == "Unhandled")
      #expect(received.text == document)
      #expect(try await client.post(event.responseTarget, "late").status == 403)
      #expect(
        try await client.post(event.errorTarget, "late").json["errorType"]?.string == "InvalidStateTransition"
      )
    }
  }

  @Test func `repeats an event after a lost poll, and accepts a response after a truncated one`() async throws
  {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget, "event")
      let event = try await client.get(next)
      let again = try await client.get(next)
      #expect(again.requestID == event.requestID)
      #expect(again.text == "event")
      try await client.breakOff(event.responseTarget, [HeaderField("Content-Length", "10")], after: "half")
      #expect(try await client.post(event.responseTarget, "whole").status == 202)
      #expect(try await answer.text == "whole")
    }
  }

  @Test(arguments: [
    ("/2018-06-01/runtime/invocation/unknown/response", 400, "InvalidRequestID"),
    ("/2018-06-01/runtime/invocation/unknown/error", 400, "InvalidRequestID"),
    ("/2018-06-01/runtime/invocation//response", 400, "InvalidRequestID"),
    ("/2018-06-01/runtime/invocation/response", 404, nil), ("/2018-06-01/runtime/init", 404, nil),
    ("/2018-06-01/", 404, nil), ("/2018-06-01/runtime/invocation/next", 405, nil),
    ("/2015-03-31/functions/other/invocations", 404, nil),
  ])
  func `rejects unknown paths and request IDs`(target: String, status: Int, type: String?) async throws {
    try await withEmulator { emulator, client in
      let answer = try await client.post(target, "{}")
      #expect(answer.status == status)
      if let type { #expect(try answer.json["errorType"]?.string == type) }
    }
  }

  @Test(arguments: [(6_291_556, 202), (6_291_557, 413)])
  func `accepts a response of 6 MiB and 100 bytes, but not one byte more`(size: Int, status: Int) async throws
  {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      let body = [UInt8](repeating: UInt8(ascii: "x"), count: size)
      #expect(try await client.send(.POST, event.responseTarget, body: body).status == status)
      let received = try await answer
      #expect(received.header("X-Amz-Function-Error") == (status == 202 ? nil : "Unhandled"))
      if status == 202 {
        #expect(received.body == body)
      } else {
        #expect(try received.json["errorType"]?.string == "Function.ResponseSizeTooLarge")
        #expect(try await client.post(event.errorTarget, "{}").status == 403)
      }
    }
  }

  @Test func `rejects an event of more than 6 MiB, and a malformed client context`() async throws {
    try await withEmulator { emulator, client in
      let large = [UInt8](repeating: UInt8(ascii: "x"), count: 6_291_557)
      let answer = try await client.send(.POST, invokeTarget, body: large)
      #expect(answer.status == 413)
      for context in ["%", base64(Array("[]".utf8)), base64(Array("{".utf8))] {
        let header = HeaderField("X-Amz-Client-Context", context)
        #expect(try await client.post(invokeTarget, "{}", headers: [header]).status == 400)
      }
    }
  }

  @Test func `rejects an unknown response mode, and fails the invocation`() async throws {
    try await withEmulator { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      let mode = HeaderField("Lambda-Runtime-Function-Response-Mode", "buffered")
      let taken = try await client.post(event.responseTarget, "{}", headers: [mode])
      #expect(taken.status == 400)
      #expect(try taken.json["errorType"]?.string == "InvalidFunctionResponseMode")
      #expect(try await answer.header("X-Amz-Function-Error") == "Unhandled")
    }
  }

  @Test func `kills a function that times out, and restarts it for the next invocation`() async throws {
    let (starts, started) = AsyncStream.makeStream(of: Void.self)
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output("started") = event { started.yield() }
    }
    let script = "echo started; exec sleep 600"
    try await withEmulator(script: script, timeout: .seconds(1), report: report) { emulator, client in
      var process = starts.makeAsyncIterator()
      let first = try await client.post(invokeTarget)
      #expect(first.header("X-Amz-Function-Error") == "Unhandled")
      #expect(try first.json["errorType"]?.string == "Sandbox.Timedout")
      let message = try #require(try first.json["errorMessage"]?.string)
      #expect(message.hasSuffix("Error: Task timed out after 1.00 seconds"))
      #expect(await process.next() != nil)
      let requestID = try #require(first.header("X-Amzn-RequestId"))
      let late = "/2018-06-01/runtime/invocation/\(requestID)/response"
      #expect(try await client.post(late, "late").status == 400)
      async let second = client.post(invokeTarget)
      #expect(await process.next() != nil)
      #expect(try await second.status == 200)
    }
  }

  @Test(arguments: [
    ("exit 7", "Runtime exited with error: exit status 7"),
    ("exit 0", "Runtime exited without providing a reason"),
    ("kill -ABRT $$", "Runtime exited with error: signal: aborted"),
  ])
  func `reports how the function's process ended`(script: String, message: String) async throws {
    try await withEmulator(script: script) { emulator, client in
      for _ in 1...2 {
        let answer = try await client.post(invokeTarget)
        #expect(answer.header("X-Amz-Function-Error") == "Unhandled")
        #expect(try answer.json["errorType"]?.string == "Runtime.ExitError")
        #expect(try answer.json["errorMessage"]?.string?.hasSuffix(message) == true)
      }
    }
  }

  @Test func `reports that the function can't be started`() async throws {
    let directory = try TemporaryDirectory()
    let configuration = Emulator.Configuration(
      function: FunctionConfiguration(bootstrap: "\(directory.path)/none", timeout: .seconds(60)))
    try await Emulator.run(configuration, report: { _ in }) { emulator in
      let answer = try await HTTPTestClient(port: emulator.port).post(invokeTarget)
      #expect(answer.header("X-Amz-Function-Error") == "Unhandled")
      #expect(try answer.json["errorType"]?.string == "Runtime.InvalidEntrypoint")
      #expect(try answer.json["errorMessage"]?.string?.contains("No such file or directory") == true)
    }
  }

  @Test func `returns the function's initialisation error to the caller`() async throws {
    let (starts, started) = AsyncStream.makeStream(of: Void.self)
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output("started") = event { started.yield() }
    }
    try await withEmulator(script: "echo started; exec sleep 600", report: report) { emulator, client in
      async let answer = client.post(invokeTarget)
      for await _ in starts { break }
      let document = #"{"errorMessage":"AWS_IOT_THING_NAME isn't set","errorType":"Function.Configuration"}"#
      let type = HeaderField("Lambda-Runtime-Function-Error-Type", "Function.Configuration")
      let initError = "/2018-06-01/runtime/init/error"
      #expect(try await client.post(initError, document, headers: [type]).status == 202)
      let received = try await answer
      #expect(received.text == document)
      #expect(received.header("X-Amz-Function-Error") == "Unhandled")
      // The next invocation gets a new process, which starts.
      async let second = client.post(invokeTarget)
      for await _ in starts { break }
      let polled = try await client.get(next)
      #expect(try await client.post(initError, document).status == 403)
      #expect(try await client.post(polled.responseTarget, "2").status == 202)
      #expect(try await second.text == "2")
    }
  }

  @Test func `starts the process with a clean environment, and reports its output`() async throws {
    let lines = Lines()
    let directory = try TemporaryDirectory()
    let path = directory.path
    let bootstrap = try directory.executable("env; printf 'no line end'; exit 3")
    var function = FunctionConfiguration(bootstrap: bootstrap, timeout: .seconds(60))
    function.inherit(
      from: Environment([
        "AWS_SECRET_ACCESS_KEY": "the caller's", "AWS_REGION": "eu-west-1", "HOME": "/root",
        "DEFENDER_TOPIC": "a/{thing}", "SAMPLE_INTERVAL_SECONDS": "7", "AWS_IOT_THING_NAME": "pump",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://example.com", "LD_PRELOAD": "x",
      ]))
    try await Emulator.run(Emulator.Configuration(function: function), report: lines.add) { emulator in
      _ = await emulator.invoke(InvocationRequest(event: []))
      let output = lines.output
      #expect(output.last == "no line end")
      let expected = [
        "AWS_LAMBDA_RUNTIME_API=127.0.0.1:\(emulator.port)", "AWS_REGION=eu-west-1",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE=http://127.0.0.1:\(emulator.port)", "DEFENDER_TOPIC=a/{thing}",
        "SAMPLE_INTERVAL_SECONDS=7", "AWS_IOT_THING_NAME=pump", "_HANDLER=function_handler",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "LAMBDA_TASK_ROOT=\(path)",
      ]
      for line in expected { #expect(output.contains(line)) }
      for line in output {
        #expect(!line.contains("the caller's") && !line.hasPrefix("HOME=") && !line.hasPrefix("LD_PRELOAD="))
      }
      #expect(lines.platform.first?.hasPrefix("START RequestId: ") == true)
      #expect(lines.platform.last?.contains("Status: error\tError Type: Runtime.ExitError") == true)
    }
  }

  @Test func `leaves neither the process nor its children behind`() async throws {
    let directory = try TemporaryDirectory()
    let pids = "\(directory.path)/pids"
    // The script and its child ignore SIGTERM, so that only SIGKILL ends them.
    let script =
      "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $! $$ > \(pids); wait"
    try await withEmulator(script: script, grace: .milliseconds(200)) { emulator, client in
      async let answer = client.post(invokeTarget)
      let event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "{}").status == 202)
      #expect(try await answer.status == 200)
      while (try? readFile(pids, limit: 1 << 10).isEmpty) ?? true { await Task.yield() }
    }
    let written = String(decoding: try readFile(pids, limit: 1 << 10), as: UTF8.self)
    let processes = written.split { $0 == " " || $0 == "\n" }
    #expect(processes.count == 2)
    for process in processes {
      let path = "/proc/\(process)/stat"
      // It has just been killed with its group. It is gone, or its new parent is about to reap it.
      while let stat = try? readFile(path, limit: 1 << 12), !isZombie(stat) { await Task.yield() }
    }
  }

  @Test func `fails pending and later invocations when it stops`() async throws {
    try await withEmulator { emulator, client in
      async let first = emulator.invoke(InvocationRequest(event: []))
      _ = try await client.get(next)
      async let second = emulator.invoke(InvocationRequest(event: []))
      await emulator.stop()
      #expect(await first.failure == .stopped)
      #expect(await second.failure == .stopped)
      #expect(await emulator.invoke(InvocationRequest(event: [])).failure == .stopped)
    }
  }

  @Test func `reports a port that is in use`() async throws {
    try await withEmulator { emulator, _ in
      var second = Emulator.Configuration(
        function: FunctionConfiguration(bootstrap: "/bin/true", timeout: .seconds(1)))
      second.port = emulator.port
      let error = await #expect(throws: ServerError.self) {
        try await Emulator.run(second, report: { _ in }) { _ in }
      }
      guard case .cannotListen(emulator.port, let reason)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(reason == "\(Errno(rawValue: EADDRINUSE))")
    }
  }
}

private func isZombie(_ stat: [UInt8]) -> Bool { String(decoding: stat, as: UTF8.self).contains(") Z ") }

/// The events that an emulator reported.
private final class Lines: Sendable {
  private let events = Mutex<[EmulatorEvent]>([])

  func add(_ event: EmulatorEvent) { events.withLock { $0.append(event) } }

  var output: [String] {
    events.withLock { $0 }.compactMap { if case .output(let line) = $0 { line } else { nil } }
  }

  var platform: [String] {
    events.withLock { $0 }.compactMap { if case .platform(let line) = $0 { line } else { nil } }
  }
}
