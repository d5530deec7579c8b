import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the built `echo-function` in the emulator, in situations that any handler on `LambdaRuntime` can meet.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The echo function` {
  @Test(arguments: [0, 1, 65_536, 6_291_456, 6_291_556])
  func `returns an event of any size that Lambda accepts`(size: Int) async throws {
    try await withEchoFunction { emulator, lines in
      let event = [UInt8](repeating: UInt8(ascii: "7"), count: size)
      for _ in 1...2 {
        let result = await emulator.invoke(InvocationRequest(event: event)).complete()
        #expect(result.failure == nil)
        #expect(result.body == event)
      }
      #expect(lines.starts == 1)
    }
  }

  @Test func `prints how to start it if it is started outside Lambda`() async throws {
    let program = try BuiltProgram("echo-function")
    let run = try await program.run()
    #expect(run.status == .code(1))
    #expect(run.errors.count == 2, "\(run.errorText)")
    #expect(run.errors.first?.contains("AWS_LAMBDA_RUNTIME_API isn't set") == true, "\(run.errorText)")
    let command = "To start it here: defender emulator --bootstrap \(program.path)"
    #expect(run.errors.last?.hasSuffix("\t\(command)") == true, "\(run.errorText)")
  }

  @Test func `receives its context`() async throws {
    try await withEchoFunction { emulator, lines in
      var request = InvocationRequest(event: Array(#"{"ctx":1}"#.utf8))
      request.clientContext = #"{"custom":{"k":"v"}}"#
      request.cognitoIdentity = #"{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}"#
      request.tenantID = "tenant-7"
      request.traceID = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1"
      let result = await emulator.invoke(request)
      let context = try JSONValue(parsing: await result.complete().body)
      #expect(context["requestID"]?.string == result.requestID)
      #expect(context["clientContext"]?.string == request.clientContext)
      #expect(context["cognitoIdentity"]?.string == request.cognitoIdentity)
      #expect(context["tenantID"]?.string == request.tenantID)
      #expect(context["traceID"]?.string == request.traceID)
      #expect(context["_X_AMZN_TRACE_ID"]?.string == request.traceID)
      #expect(context["functionName"]?.string == "device-defender")
      #expect(context["memoryLimitInMegabytes"]?.string == "128")
      #expect(context["logGroupName"]?.string == "/aws/lambda/device-defender")
      let remaining = context["remainingSeconds"]?.string.flatMap { Double($0) } ?? 0
      #expect(remaining > 30 && remaining <= 60)
    }
  }

  @Test func `handles the next event after an error`() async throws {
    try await withEchoFunction { emulator, lines in
      let failed = await emulator.invoke(InvocationRequest(event: Array(#"{"fail":1}"#.utf8))).complete()
      #expect(failed.failure == .reported(type: "Function.BenchFailure"))
      let error = try JSONValue(parsing: failed.body)
      #expect(error["errorMessage"]?.string == "asked to fail: line one\nline \"two\"")
      try await expectEcho(emulator)
      #expect(lines.starts == 1)
    }
  }

  @Test func `handles the next event after a response that is too large`() async throws {
    try await withEchoFunction { emulator, lines in
      let large = await emulator.invoke(InvocationRequest(event: Array(#"{"big":7000000}"#.utf8))).complete()
      guard case .reported(let type) = large.failure else {
        Issue.record("\(String(describing: large.failure))")
        return
      }
      #expect(type.hasPrefix("Function.") && type != "Function.Unknown")
      try await expectEcho(emulator)
      #expect(lines.starts == 1)
    }
  }

  @Test func `is restarted after a crash`() async throws {
    try await withEchoFunction { emulator, lines in
      let crashed = await emulator.invoke(InvocationRequest(event: Array(#"{"crash":1}"#.utf8)))
      #expect(crashed.failure == .exit)
      let error = try JSONValue(parsing: await crashed.complete().body)
      #expect(error["errorType"]?.string == "Runtime.ExitError")
      #expect(error["errorMessage"]?.string?.contains("signal: ") == true)
      #expect(lines.output.contains { $0.contains("asked to crash") })
      try await expectEcho(emulator)
      #expect(lines.starts == 2)
    }
  }

  @Test func `is restarted after a timeout`() async throws {
    try await withEchoFunction(timeout: .seconds(3)) { emulator, lines in
      let slow = await emulator.invoke(InvocationRequest(event: Array(#"{"sleep":600000}"#.utf8)))
      #expect(slow.failure == .timeout)
      try await expectEcho(emulator)
      #expect(lines.starts == 2)
      #expect(lines.platform.contains { $0.hasSuffix("\(slow.requestID) Task timed out after 3.00 seconds") })
    }
  }

  @Test(
    arguments: [(#"{"stream":1}"#, nil), (#"{"stream":"fail"}"#, .stream)]
      as [(String, InvocationResult.Failure?)])
  func `streams its response, and reports an error in it`(
    event: String, failure: InvocationResult.Failure?
  ) async throws {
    try await withEchoFunction { emulator, lines in
      let result = await emulator.invoke(InvocationRequest(event: Array(event.utf8))).complete()
      #expect(result.body == Array("first part, second part".utf8))
      #expect(result.failure == failure)
      let error = try result.streamError.map { try JSONValue(parsing: $0) }
      #expect(error?["errorType"]?.string == (failure == nil ? nil : "Function.BenchFailure"))
      #expect(
        error?["errorMessage"]?.string == (failure == nil ? nil : "asked to fail: line one\nline \"two\""))
      try await expectEcho(emulator)
      #expect(lines.starts == 1)
    }
  }

  @Test func `is restarted after a crash in the middle of a streamed response`() async throws {
    try await withEchoFunction { emulator, lines in
      let event = Array(#"{"breakstream":1}"#.utf8)
      let result = await emulator.invoke(InvocationRequest(event: event)).complete()
      #expect(result.failure == .stream)
      #expect(result.body == Array("first part, ".utf8))
      let error = try JSONValue(parsing: try #require(result.streamError))
      // The emulator may notice the closed connection before it notices that the process has ended.
      #expect(["Runtime.ExitError", "Runtime.TruncatedResponse"].contains(error["errorType"]?.string))
      #expect(error["errorMessage"]?.string?.isEmpty == false)
      try await expectEcho(emulator)
      #expect(lines.starts == 2)
    }
  }

  @Test(
    arguments: [
      (
        #"{"stream":"fail"}"#,
        "The function failed after it had sent 23 bytes:\nfirst part, second part\nThe error:\n{",
        #""errorType": "Function.BenchFailure""#
      ),
      (
        #"{"breakstream":1}"#, "The function failed after it had sent 12 bytes:\nfirst part, \nThe error:\n{",
        #""errorMessage": "RequestId: "#
      ),
    ])
  func `shows in defender invoke why its stream failed, and the status isn't 0`(
    event: String, beginning: String, error: String
  ) async throws {
    let function = try BuiltProgram("echo-function").path
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--bootstrap", function, "--env", "SWIFT_BACKTRACE=enable=no", "--event", event])
    #expect(run.status == .code(1))
    #expect(run.output.contains(beginning), "\(run.output)")
    #expect(run.output.contains(error), "\(run.output)")
  }

  @Test func `reports an initialisation error`() async throws {
    try await withEchoFunction(["BENCH_INIT_FAIL": "1"]) { emulator, lines in
      for _ in 1...2 {
        let result = await emulator.invoke(InvocationRequest(event: [])).complete()
        #expect(result.failure == .initialization(type: "Function.InitFailed"))
        let error = try JSONValue(parsing: result.body)
        #expect(error["errorMessage"]?.string == "BENCH_INIT_FAIL is set")
      }
    }
  }

  @Test func `handles several invocations at once on Managed Instances`() async throws {
    let variables = ["AWS_LAMBDA_MAX_CONCURRENCY": "3", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"]
    try await withEchoFunction(variables) { emulator, lines in
      async let first = emulator.invoke(InvocationRequest(event: Array(#"{"sleep":600000}"#.utf8)))
      async let second = emulator.invoke(InvocationRequest(event: Array(#"{"sleep":600000}"#.utf8)))
      while lines.output.count(where: { $0.contains("sleeping") }) < 2 { await Task.yield() }
      let crashed = await emulator.invoke(InvocationRequest(event: Array(#"{"crash":1}"#.utf8)))
      #expect(crashed.failure == .reported(type: "Runtime.ExitError"))
      try await expectEcho(emulator)
      #expect(lines.output.contains { $0.contains("executionEnvironmentMaxConcurrency") })
      await emulator.stop()
      #expect(await [first.failure, second.failure] == [.stopped, .stopped])
    }
  }

  @Test func `shuts down in order if it has registered an extension`() async throws {
    let lines = try await linesOfEchoFunction(["BENCH_EXTENSION": "1"])
    #expect(lines.contains { $0.contains("shutting down") })
    #expect(!lines.contains { $0.contains("Can't register") })
    let others = try await linesOfEchoFunction([:])
    #expect(!others.contains { $0.contains("shutting down") })
  }

  @Test func `finishes the work after its response before the emulator ends it`() async throws {
    var function = FunctionConfiguration(
      bootstrap: try BuiltProgram("async-echo-function").path, timeout: .seconds(60))
    function.environment = ["SWIFT_BACKTRACE": "enable=no"]
    var configuration = Emulator.Configuration(function: function)
    configuration.grace = .seconds(60)
    let all = Mutex<Lines?>(nil)
    try await Lines.ofEmulator(configuration) { emulator, lines in
      all.withLock { $0 = lines }
      let result = await emulator.invoke(InvocationRequest(event: Array(#"{"thenlate":1}"#.utf8)))
      #expect(result.failure == nil)
    }
    #expect(all.withLock { $0?.output.contains { $0.contains("from a child task") } } == true)
  }

  @Test func `passes a snapshot before its first event`() async throws {
    let lines = try await linesOfEchoFunction(["AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"])
    let hooks = lines.filter { $0.contains("snapshot") }.compactMap { $0.split(separator: "\t").last }
    #expect(hooks == ["ready for a snapshot", "restored from a snapshot"])
  }

  /// Returns what the function writes until the emulator has stopped, after one invocation.
  private func linesOfEchoFunction(_ variables: [String: String]) async throws -> [String] {
    let all = Mutex<Lines?>(nil)
    try await withEchoFunction(variables) { emulator, lines in
      try await expectEcho(emulator)
      all.withLock { $0 = lines }
    }
    return all.withLock { $0?.output ?? [] }
  }

  private func expectEcho(_ emulator: Emulator) async throws {
    let result = await emulator.invoke(InvocationRequest(event: Array(#"{"a":1}"#.utf8))).complete()
    #expect(result.failure == nil)
    #expect(result.body == Array(#"{"a":1}"#.utf8))
  }
}

private func withEchoFunction(
  _ variables: [String: String] = [:], timeout: Duration = .seconds(60),
  _ body: @Sendable (Emulator, Lines) async throws -> Void
) async throws {
  var function = FunctionConfiguration(bootstrap: try BuiltProgram("echo-function").path, timeout: timeout)
  // Otherwise a crash would wait for the backtracer.
  function.environment = ["SWIFT_BACKTRACE": "enable=no"].merging(variables) { _, own in own }
  try await Lines.ofEmulator(Emulator.Configuration(function: function), body)
}
