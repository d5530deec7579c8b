import Glibc
import LambdaEmulator
import NIOCore
import NIOHTTP1
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the emulator with several invocations at once, in which the test itself uses the Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator of Managed Instances` {
  private let next = "/2018-06-01/runtime/invocation/next"
  private let concurrency = ["AWS_LAMBDA_MAX_CONCURRENCY": "2"]

  @Test func `hands out as many invocations as there are polls`() async throws {
    try await withEmulator(environment: concurrency) { emulator, client in
      async let first = client.post(invokeTarget, "1")
      let one = try await client.get(next)
      async let second = client.post(invokeTarget, "2")
      let two = try await client.get(next)
      #expect([one.text, two.text] == ["1", "2"])
      #expect(one.invocationID != two.invocationID)
      // In the other order.
      #expect(try await client.post(two.responseTarget, "22", headers: two.invocationIDField).status == 202)
      #expect(try await second.text == "22")
      #expect(try await client.post(one.responseTarget, "11", headers: one.invocationIDField).status == 202)
      #expect(try await first.text == "11")
    }
  }

  @Test(arguments: [[:], ["AWS_LAMBDA_MAX_CONCURRENCY": "2"]])
  func `rejects an answer to another attempt with 410`(environment: [String: String]) async throws {
    try await withEmulator(environment: environment) { emulator, client in
      async let result = client.post(invokeTarget, "1")
      let event = try await client.get(next)
      let wrong = [HeaderField("Lambda-Runtime-Invocation-Id", "wrong")]
      for target in [event.responseTarget, event.errorTarget] {
        let refusal = try await client.post(target, "{}", headers: wrong)
        #expect(refusal.status == 410)
        #expect(try refusal.json["errorType"]?.string == "InvokeTimeout")
      }
      let streamed = wrong + [HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming")]
      #expect(try await client.post(event.responseTarget, "x", headers: streamed).status == 410)
      // Without the header, nothing is checked.
      #expect(try await client.post(event.responseTarget, "right").status == 202)
      #expect(try await result.text == "right")
      #expect(try await client.post(event.responseTarget, "again").status >= 400)
    }
  }

  @Test func `ends the process on restart when it has answered, and starts it again for the next invocation`()
    async throws
  {
    let (pids, started) = AsyncStream.makeStream(of: Int32.self)
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output(let line) = event, let process = Int32(line) { started.yield(process) }
    }
    try await withEmulator(script: "echo $$; exec sleep 600", environment: concurrency, report: report) {
      emulator, client in
      async let first = client.post(invokeTarget, "1")
      // A poll before the start of the process would get the event, and the process wouldn't be needed.
      var iterator = pids.makeAsyncIterator()
      let process = try #require(await iterator.next())
      let one = try await client.get(next)
      await emulator.restart()
      async let second = client.post(invokeTarget, "2")
      #expect(kill(process, 0) == 0, "the process ended before its answer")
      #expect(try await client.post(one.responseTarget, "11").status == 202)
      #expect(try await first.text == "11")
      let newProcess = try #require(await iterator.next())
      #expect(newProcess != process)
      let two = try await client.get(next)
      #expect(two.text == "2")
      #expect(try await client.post(two.responseTarget, "22").status == 202)
      #expect(try await second.text == "22")
    }
  }

  @Test func `doesn't kill the process at a timeout, and rejects its late answer with 410`() async throws {
    try await withEmulator(timeout: .milliseconds(300), environment: concurrency) { emulator, client in
      let hasEvent = Mutex(false)
      async let polled = {
        let event = try await client.get(next)
        hasEvent.withLock { $0 = true }
        return event
      }()
      // On a busy machine, an invocation may time out before the poll arrives.
      var isTimeout = false
      repeat {
        let result = await emulator.invoke(InvocationRequest(event: [0x31]))
        isTimeout = isTimeout || result.failure == .timeout
      } while !hasEvent.withLock { $0 }
      #expect(isTimeout)
      let event = try await polled
      let late = try await client.post(event.responseTarget, "{}", headers: event.invocationIDField)
      #expect(late.status == 410)
      #expect(try await client.post("/2018-06-01/runtime/invocation/unknown/response").status == 400)
    }
  }

  @Test func `rejects a stream that ends after the timeout with 410`() async throws {
    try await withEmulator(timeout: .seconds(15), environment: concurrency) { emulator, client in
      let result = Task { await emulator.invoke(InvocationRequest(event: [0x31])) }
      let event = try await client.get(next)
      let headers =
        event.invocationIDField + [
          HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
          HeaderField("Transfer-Encoding", "chunked"),
        ]
      let late = try await client.exchange(.POST, event.responseTarget, headers) { writer in
        try await writer.write(.body(.byteBuffer(ByteBuffer(string: "one"))))
        #expect(await result.value.complete().failure != nil)
        try await writer.write(.end(nil))
      }
      #expect(late.status == 410)
      #expect(try late.json["errorType"]?.string == "InvokeTimeout")
    }
  }

  @Test func `fails all invocations of a process that ends, and starts another for the next one`()
    async throws
  {
    let starts = Mutex(0)
    let script = "echo started; while [ ! -e stop ]; do sleep 0.01; done; rm stop; exit 3"
    let report: @Sendable (EmulatorEvent) -> Void = { event in
      if case .output("started") = event { starts.withLock { $0 += 1 } }
    }
    let directory = try TemporaryDirectory()
    let bootstrap = try directory.executable("cd \(directory.path); \(script)")
    var function = FunctionConfiguration(bootstrap: bootstrap, timeout: .seconds(60))
    function.environment = concurrency
    try await Emulator.run(Emulator.Configuration(function: function), report: report) { emulator in
      let client = HTTPTestClient(port: emulator.port)
      async let first = emulator.invoke(InvocationRequest(event: [0x31]))
      async let second = emulator.invoke(InvocationRequest(event: [0x32]))
      _ = try await client.get(next)
      _ = try await client.get(next)
      _ = unsafe creat("\(directory.path)/stop", 0o600)
      #expect(await first.failure == .exit)
      #expect(await second.failure == .exit)
      async let third = client.post(invokeTarget, "3")
      // Otherwise the invocation could be handed to this test's poll, without a process.
      try await eventually { starts.withLock { $0 } == 2 }
      let event = try await client.get(next)
      #expect(try await client.post(event.responseTarget, "33").status == 202)
      #expect(try await third.text == "33")
    }
  }

  @Test func `passes on a stream, and ends it if the process does`() async throws {
    try await withEmulator(environment: concurrency) { emulator, client in
      async let result = emulator.invoke(InvocationRequest(event: [0x31])).complete()
      let event = try await client.get(next)
      let headers =
        event.invocationIDField + [HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming")]
      #expect(try await client.post(event.responseTarget, "all of it", headers: headers).status == 202)
      #expect(await result.body == Array("all of it".utf8))
      #expect(await result.failure == nil)
    }
  }

  @Test func `reports a program that can't be started`() async throws {
    var function = FunctionConfiguration(bootstrap: "/nowhere", timeout: .seconds(60))
    function.environment = concurrency
    try await Emulator.run(Emulator.Configuration(function: function), report: { _ in }) { emulator in
      let result = await emulator.invoke(InvocationRequest(event: []))
      #expect(result.failure == .initialization(type: "Runtime.InvalidEntrypoint"))
    }
  }
}

/// Tests of what the emulator offers a function beside the Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator's other APIs` {
  private let register = "/2020-01-01/extension/register"

  private func registration(_ name: String) -> [HeaderField] { [HeaderField("Lambda-Extension-Name", name)] }

  @Test func `register an extension without events, and let it wait`() async throws {
    try await withEmulator { emulator, client in
      let answer = try await client.post(register, #"{"events":[]}"#, headers: registration("e"))
      #expect(answer.status == 200)
      #expect(try answer.json["functionName"]?.string == "device-defender")
      let identifier = try #require(answer.header("Lambda-Extension-Identifier"))
      #expect(
        try await client.post(register, #"{"events":[]}"#, headers: registration("e")).status == 403)
      async let wait = client.send(
        .GET, "/2020-01-01/extension/event/next",
        headers: [HeaderField("Lambda-Extension-Identifier", identifier)], body: nil)
      // Stopping doesn't wait for it.
      await emulator.stop()
      _ = try? await wait
    }
  }

  @Test(
    arguments: [
      (nil, "{\"events\":[]}", 400), ("e", "", 400), ("e", "{}", 400), ("e", #"{"events":["INVOKE"]}"#, 403),
      ("e", #"{"events":["SHUTDOWN"]}"#, 403),
    ] as [(String?, String, Int)])
  func `reject other registrations`(name: String?, body: String, status: Int) async throws {
    try await withEmulator { emulator, client in
      let answer = try await client.post(register, body, headers: name.map(registration) ?? [])
      #expect(answer.status == status)
      #expect(try await client.get("/2020-01-01/extension/event/next").status == 403)
    }
  }

  @Test(arguments: [false, true])
  func `send SIGTERM only to a process with an extension`(isRegistered: Bool) async throws {
    let lines = Mutex<[String]>([])
    // `wait` ends when the trap runs.
    let script = "trap 'echo stopped; exit 0' TERM; echo started; sleep 600 & wait"
    try await withEmulator(
      script: script, grace: .seconds(30),
      report: { if case .output(let line) = $0 { lines.withLock { $0.append(line) } } }
    ) { emulator, client in
      async let result = emulator.invoke(InvocationRequest(event: []))
      let event = try await client.get("/2018-06-01/runtime/invocation/next")
      if isRegistered {
        let answer = try await client.post(register, #"{"events":[]}"#, headers: registration("e"))
        #expect(answer.status == 200)
      }
      try await eventually { lines.withLock { $0.contains("started") } }
      #expect(try await client.post(event.responseTarget).status == 202)
      #expect(await result.failure == nil)
    }
    #expect(lines.withLock { $0.contains("stopped") } == isRegistered)
  }

  @Test func `return metadata to requests with the token`() async throws {
    let lines = Mutex<[String]>([])
    try await withEmulator(
      script: "echo TOKEN=$AWS_LAMBDA_METADATA_TOKEN; echo API=$AWS_LAMBDA_METADATA_API; exec sleep 600",
      report: { if case .output(let line) = $0 { lines.withLock { $0.append(line) } } }
    ) { emulator, client in
      async let result = emulator.invoke(InvocationRequest(event: []))
      try await eventually { lines.withLock { $0.count } == 2 }
      let words = lines.withLock { $0.map { $0.split(separator: "=")[1] } }
      #expect(words[1] == "127.0.0.1:\(emulator.port)")
      let path = "/2026-01-15/metadata/execution-environment"
      let token = [HeaderField("Authorization", "Bearer \(words[0])")]
      let answer = try await client.send(.GET, path, headers: token, body: nil)
      #expect(try answer.json["AvailabilityZoneID"]?.string == "use1-az1")
      #expect(try await client.get(path).status == 401)
      await emulator.stop()
      #expect(await result.failure == .stopped)
    }
  }

  @Test(arguments: [("snap-start", 200), ("on-demand", 404)])
  func `restore a snapshot only with SnapStart`(mode: String, status: Int) async throws {
    try await withEmulator(environment: ["AWS_LAMBDA_INITIALIZATION_TYPE": mode]) { emulator, client in
      let answer = try await client.get("/2018-06-01/runtime/restore/next")
      #expect(answer.status == status)
    }
  }
}
