import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaRuntime

@Suite struct `The life of a function` {
  /// Logs each call of its hooks, and throws in the hook named `failing`.
  struct HookedHandler: Handler, ~Copyable {
    let log: Log
    var failing: String?

    mutating func handle(_ event: Event, _ context: Context) -> Response { Response(json: event.bytes) }
    mutating func shutDown() { log.info("hook: shutDown") }
    mutating func prepareForSnapshot() throws { try call("prepareForSnapshot") }
    mutating func resumeFromSnapshot() throws { try call("resumeFromSnapshot") }

    private func call(_ hook: String) throws {
      log.info("hook: \(hook)")
      if failing == hook { throw InvocationFailure(type: "Function.HookFailed", message: hook) }
    }
  }

  private func hooks(_ run: ServedRuntime) -> [String] {
    run.log.compactMap { $0.contains("hook: ") ? $0.split(separator: " ").last?.dropLast().description : nil }
  }

  @Test func `can begin in a unit test`() {
    let startup = Startup(environment: Environment(["A": "b"]))
    #expect(startup.environment["A"] == "b")
    #expect(!startup.isShutdownRequested)
  }

  @Test func `ends with shutDown after the last invocation`() throws {
    let run = try ServedRuntime(script: [event("1"), accepted]) { HookedHandler(log: $0) }
    #expect(hooks(run) == ["shutDown"])
    #expect(run.error == nil)
  }

  @Test func `includes a snapshot before the first poll`() throws {
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"],
      script: [.response(500), .response(200), event("1"), accepted]
    ) { HookedHandler(log: $0) }
    #expect(
      run.requests.map { $0.path.split(separator: "/").suffix(2).joined(separator: "/") } == [
        "restore/next", "restore/next", "invocation/next", "5f3a1c9e-7b2d-4e8f-a1b0-000000000001/response",
        "invocation/next",
      ])
    #expect(hooks(run) == ["prepareForSnapshot", "resumeFromSnapshot", "shutDown"])
    #expect(run.requests.map(\.connection) == [1, 1, 2, 2, 2], "a connection was reused after the snapshot")
  }

  @Test(arguments: [("prepareForSnapshot", "init/error"), ("resumeFromSnapshot", "restore/error")])
  func `ends if a snapshot hook fails, which is reported`(hook: String, path: String) throws {
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"],
      script: hook == "prepareForSnapshot" ? [accepted] : [.response(200), accepted]
    ) { HookedHandler(log: $0, failing: hook) }
    #expect(run.requests.last?.path == "/2018-06-01/runtime/\(path)")
    let failure = InvocationFailure(type: "Function.HookFailed", message: hook)
    #expect(run.error == .snapshotHookFailed(failure))
  }

  @Test func `includes an extension without events if the options ask for it`() throws {
    let registered = LoopbackServer.Reply.response(
      200, [("Lambda-Extension-Identifier", "the-extension")], body: "{}")
    let server = try LoopbackServer { request in
      switch request.path {
      case "/2020-01-01/extension/register": registered
      case "/2020-01-01/extension/event/next": .hold
      case "/2018-06-01/runtime/invocation/next": event("1")
      default: accepted
      }
    }
    let stop = try StopSwitch()
    let handler = TestHandler { event, _ in
      stop.stop()
      return Response(json: event.bytes)
    }
    try serve(
      in: Environment(["AWS_LAMBDA_RUNTIME_API": server.authority]), log: Log { _, _ in },
      until: try stop.signal(),
      options: ServeOptions(registersExtension: true)
    ) { handler }
    // The extension has its own connection, so its second request may come at any position.
    let requests = server.requests(atLeast: 4)
    let registration = try #require(requests.first { $0.path == "/2020-01-01/extension/register" })
    #expect(registration["Lambda-Extension-Name"] == "lambda-runtime-shutdown")
    #expect(requests.allSatisfy { $0["User-Agent"] == "LambdaRuntime-Swift/\(packageVersion)" })
    #expect(registration.text == #"{"events":[]}"#)
    let wait = try #require(requests.first { $0.path == "/2020-01-01/extension/event/next" })
    #expect(wait["Lambda-Extension-Identifier"] == "the-extension")
    #expect(wait.connection == registration.connection)
    #expect(requests.filter { $0.path.contains("/runtime/") }.allSatisfy { $0.connection != wait.connection })
  }

  @Test(arguments: [
    LoopbackServer.Reply.response(404), .response(200),
    .response(200, [("Lambda-Extension-Identifier", "e"), ("Connection", "close")]), .sendAndClose([]),
    .sendAndClose(Array("x".utf8)),
  ])
  func `continues without the extension if it can't be registered`(reply: LoopbackServer.Reply) throws {
    let run = try ServedRuntime(
      options: ServeOptions(registersExtension: true), script: [reply, event("1"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.last?.text == "1")
    #expect(run.log.count == 1)
    #expect(run.log.first?.contains("extension") == true)
  }

  @Test(arguments: ["1", nil] as [String?])
  func `logs the number of workers, also a single one, if Lambda sets it`(value: String?) throws {
    let run = try ServedRuntime(
      variables: value.map { ["AWS_LAMBDA_MAX_CONCURRENCY": $0] } ?? [:], script: [event("1"), accepted],
      handler: TestHandler.echo)
    #expect(run.answers.map(\.text) == ["1"])
    let count = run.log.count { $0.contains("workerCount=1 executionEnvironmentMaxConcurrency=1") }
    #expect(count == (value == nil ? 0 : 1))
  }

  @Test(arguments: ["0", "-1", "1601", "many"])
  func `doesn't begin with an invalid AWS_LAMBDA_MAX_CONCURRENCY`(value: String) throws {
    let run = try ServedRuntime(
      variables: ["AWS_LAMBDA_MAX_CONCURRENCY": value], script: [accepted], handler: TestHandler.echo)
    #expect(run.requests.map(\.path) == ["/2018-06-01/runtime/init/error"])
    #expect(run.answers.first?.text.contains("AWS_LAMBDA_MAX_CONCURRENCY is '\(value)'") == true)
    #expect(run.error != nil)
  }

  @Test(
    arguments: [
      (["a", "b"], "b", nil), (["a"], "whatever", nil), (["a", "a"], "", nil),
      (["a", "b"], "c", ["'c'", "'a', 'b'"]), (["a", "b"], "", ["isn't set", "'a', 'b'"]),
      ([], "a", ["'a'", "none"]),
    ] as [([String], String, [String]?)])
  func `uses the function that _HANDLER selects`(
    names: [String], wanted: String, refusal: [String]?
  ) throws {
    var functions = Functions()
    for name in names {
      functions.register(name) { _ in TestHandler { _, _ in Response(json: Array("\"\(name)\"".utf8)) } }
    }
    let run = try ServedRuntime(
      variables: ["_HANDLER": wanted], script: refusal == nil ? [event(), accepted] : [accepted],
      functions: functions)
    if let refusal {
      #expect(run.answers.map(\.path) == ["/2018-06-01/runtime/init/error"])
      #expect(run.answers.first?["Lambda-Runtime-Function-Error-Type"] == "Runtime.UnknownHandler")
      let document = try JSONValue(parsing: run.answers.first?.body ?? [])
      let message = try #require(document["errorMessage"]?.string)
      #expect(refusal.allSatisfy(message.contains), "\(message)")
    } else {
      #expect(
        run.answers.map(\.text) == ["\"\(names.count == 1 ? names[0] : wanted.isEmpty ? "a" : wanted)\""])
    }
  }
}
