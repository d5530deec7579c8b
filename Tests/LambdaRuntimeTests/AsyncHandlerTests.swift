import Platform
import TestSupport
import Testing

@testable import LambdaRuntime
@testable import LambdaRuntimeAsync
import LambdaRuntimeAsyncCodable

/// Tests of asynchronous handlers on threads of this process.
@Suite(.serialized, .ownThreads, .timeLimit(.minutes(5))) struct `An asynchronous handler` {
  /// Counts its invocations, and calls a closure.
  private struct Counting: AsyncHandler, ~Copyable {
    let log: Log
    var count = 0
    let body: (Int, Event, Context) async throws -> Response

    mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
      count += 1
      await Task.yield()
      return try await body(count, event, context)
    }

    mutating func shutDown() async { await note("shutDown") }
    mutating func prepareForSnapshot() async throws { await note("prepareForSnapshot") }
    mutating func resumeFromSnapshot() async throws { await note("resumeFromSnapshot") }

    private func note(_ hook: String) async {
      await Task.yield()
      log.info("hook \(hook) after \(count)")
    }
  }

  private struct Broken: Error {}

  private actor Sum {
    var value = 0
    func add(_ number: Int) { value += number }
  }

  private func run(
    _ variables: [String: String] = [:], _ script: [LoopbackServer.Reply],
    _ body: @escaping (Int, Event, Context) async throws -> Response
  ) throws -> ServedRuntime {
    try ServedRuntime.started(variables, script) { startup in
      try AsyncAdapter(startup) { startup in
        await Task.yield()
        return Counting(log: startup.log, body: body)
      }
    }
  }

  @Test func `is one value for all invocations, and shuts down after the last`() throws {
    let result = try run([:], [event("1", id: "a"), accepted, event("2", id: "b"), accepted]) {
      count, event, _ in
      Response(json: event.bytes + Array(" \(count)".utf8))
    }
    #expect(result.answers.map(\.text) == ["1 1", "2 2"])
    #expect(result.log.map { $0.split(separator: "\t").last } == ["hook shutDown after 2\n"])
  }

  @Test func `has hooks for a snapshot`() throws {
    let result = try run(["AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"], [.response(200)]) { _, _, _ in
      Response(json: [])
    }
    let hooks = result.log.compactMap { $0.split(separator: " ").dropFirst(1).first }
    #expect(hooks == ["prepareForSnapshot", "resumeFromSnapshot", "shutDown"])
  }

  @Test func `reports its errors`() throws {
    let result = try run([:], [event("1", id: "a"), accepted, event("2", id: "b"), accepted]) {
      count, event, _ in
      if count == 1 { throw Broken() }
      throw CancellationError()
    }
    #expect(
      result.answers.map { $0["Lambda-Runtime-Function-Error-Type"] } == [
        "Function.Broken", "Function.CancellationError",
      ])
  }

  @Test func `reports the error of its initialiser`() throws {
    let result = try ServedRuntime.started([:], [accepted]) { startup in
      try AsyncAdapter(startup) { _ async throws -> Counting in
        await Task.yield()
        throw Broken()
      }
    }
    #expect(result.requests.map(\.path) == ["/2018-06-01/runtime/init/error"])
  }

  @Test func `can be registered among others`() throws {
    var functions = Functions()
    functions.register("sync") { _ in TestHandler.echo }
    functions.register("async") { startup in
      Counting(log: startup.log) { _, _, _ in Response(json: Array("\"async\"".utf8)) }
    }
    let run = try ServedRuntime(
      variables: ["_HANDLER": "async"], script: [event(), accepted], functions: functions)
    #expect(run.answers.map(\.text) == ["\"async\""])
  }

  @Test func `has its context as a task-local value`() throws {
    let result = try run([:], [event("1", id: "id-1"), accepted]) { _, _, context in
      async let child = Context.current?.requestID
      let unstructured = await Task { Context.current?.requestID }.value
      let detached = await Task.detached { Context.current?.requestID }.value
      context.log.info("from the handler")
      await Task.detached { context.log.info("from elsewhere") }.value
      let all = [await child, unstructured, detached].map { $0 ?? "none" }
      return Response(json: Array(all.joined(separator: " ").utf8))
    }
    #expect(result.answers.map(\.text) == ["id-1 id-1 none"])
    #expect(result.log.count { $0.contains("\tid-1\tfrom ") } == 2)
    #expect(Context.current == nil)
  }

  @Test func `has its context in the synchronous closures of its response, too`() throws {
    let result = try run([:], [event("1", id: "id-1"), accepted]) { _, _, _ in
      func note(_ place: String) { Context.current?.log.info("in \(place)") }
      let write: (inout ResponseStream) throws -> Void = { stream in
        note("the stream")
        try stream.write([0x31])
      }
      let work: () throws -> Void = { note("the work") }
      return Response(streaming: "text/plain", write).then(work).then {
        await Task.yield()
        note("the asynchronous work")
      }
    }
    #expect(result.answers.map(\.text) == ["1"])
    #expect(
      result.log.compactMap { $0.split(separator: "\tid-1\t").dropFirst().first } == [
        "in the stream\n", "in the work\n", "in the asynchronous work\n",
      ])
  }

  @Test func `may use actors, groups, sleeps and other threads`() throws {
    let events = (0..<20).flatMap { [event("1", id: "a\($0)"), accepted] }
    let result = try run([:], events) { _, _, _ in
      let sum = Sum()
      await withTaskGroup { group in
        for number in 1...20 {
          group.addTask {
            if number % 5 == 0 { try? await Task.sleep(for: .microseconds(50)) }
            await sum.add(number)
          }
          group.addTask { await Task.detached { await sum.add(number) }.value }
        }
      }
      return Response(json: Array("\(await sum.value)".utf8))
    }
    #expect(result.answers.map(\.text) == Array(repeating: "420", count: 20))
  }

  @Test func `streams, and runs work after the response`() throws {
    let result = try run([:], [event("1", id: "a"), accepted, event("2", id: "b"), accepted]) {
      count, _, context in
      Response(streaming: "text/plain") { stream in
        try stream.write(Array("one ".utf8))
        try await Task.sleep(for: .milliseconds(1))
        try stream.write(Array(Context.current?.requestID.utf8 ?? "none".utf8))
        if count == 2 { throw Broken() }
      }.then {
        await Task.yield()
        Context.current?.log.info("after the response")
        throw Broken()
      }
    }
    #expect(result.answers.map(\.text) == ["one a", "one b"])
    #expect(result.answers.map { $0["Lambda-Runtime-Function-Error-Type"] } == [nil, "Function.Broken"])
    #expect(result.log.count { $0.contains("\ta\tafter the response") } == 1)
    #expect(result.log.count { $0.contains("\ta\tWork after the response failed: Function.Broken") } == 1)
  }

  @Test func `is cancelled shortly before its deadline, and handles the next event`() throws {
    let script = [
      event("1", id: "a", endingIn: 1_000), accepted, event("2", id: "b", endingIn: 60_000), accepted,
    ]
    var wasEarly = false
    let result = try run([:], script) { count, event, context in
      guard count == 1 else { return Response(json: Task.isCancelled ? [] : event.bytes) }
      defer { wasEarly = context.remainingTime > .zero }
      try await Task.sleep(for: .seconds(600))
      return Response(json: event.bytes)
    }
    #expect(result.answers.first?["Lambda-Runtime-Function-Error-Type"] == "Function.DeadlineExceeded")
    #expect(result.answers.last?.text == "2")
    #expect(wasEarly)
  }

  @Test func `isn't cancelled if its deadline is already past`() throws {
    let result = try run([:], [event("1", id: "a", endingIn: -1_000), accepted]) { _, event, _ in
      try await Task.sleep(for: .milliseconds(20))
      return Response(json: event.bytes)
    }
    #expect(result.answers.map(\.text) == ["1"])
  }

  @Test func `isn't cancelled at a deadline that Lambda doesn't enforce`() throws {
    let managed = ["AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"]
    let result = try run(managed, [event("1", id: "a", endingIn: 100), accepted]) { _, event, context in
      while context.remainingTime > .zero { try await Task.sleep(for: .milliseconds(20)) }
      try Task.checkCancellation()
      return Response(json: event.bytes)
    }
    #expect(result.answers.map(\.text) == ["1"])
  }

  @Test func `doesn't wait for other tasks of its thread, which continue with the next one`() throws {
    let thread = RuntimeThread(nil)
    let deadline = BootTime.now.advanced(by: .seconds(60))
    let turns = try thread.run {
      let counter = Sum()
      Task(executorPreference: thread) {
        // The deadline ends a runtime that waits for this task.
        while await counter.value >= 0, BootTime.now < deadline {
          await counter.add(1)
          await Task.yield()
        }
      }
      while await counter.value < 10 { await Task.yield() }
      return counter
    }
    #expect(BootTime.now < deadline)
    let before = try thread.run { await turns.value }
    try thread.run { while await turns.value < before + 10, BootTime.now < deadline { await Task.yield() } }
    #expect(BootTime.now < deadline)
    try thread.run { await turns.add(.min / 2) }
  }

  private struct Order: Codable { var item: String, count: Int }

  private struct Checkout: AsyncTypedHandler {
    func handle(_ order: Order, _ context: Context) async throws -> Order {
      await Task.yield()
      return Order(item: order.item, count: order.count * 2)
    }
  }

  @Test func `may receive and return Codable values`() throws {
    let result = try ServedRuntime.started(
      [:],
      [
        event(#"{"item":"tea","count":2}"#, id: "a"), accepted, event(#"{"item":"tea"}"#, id: "b"), accepted,
      ]
    ) { startup in try AsyncAdapter(startup) { _ in AsyncJSONHandler(Checkout()) } }
    #expect(result.answers.first?.text.contains(#""count":4"#) == true)
    #expect(result.answers.last?["Lambda-Runtime-Function-Error-Type"] == "Function.BadEvent")
    #expect(result.answers.last?.text.contains("'count' is missing") == true)
  }
}
