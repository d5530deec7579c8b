import Dispatch
import Foundation
import LambdaRuntime
import LambdaRuntimeAsync
import LambdaRuntimeCodable
import LambdaRuntimeTesting
import Platform
import TestSupport
import Testing

/// A function that calls a closure with the number of the invocation.
private struct Counting: Handler {
  let startup: Startup
  let body: @Sendable (Int, Event, Context) throws -> Response
  var count = 0

  init(_ startup: Startup, _ body: @escaping @Sendable (Int, Event, Context) throws -> Response) {
    self.startup = startup
    self.body = body
  }

  mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    count += 1
    return try body(count, event, context)
  }

  func shutDown() { startup.log.info("shut down after \(count)") }
}

private struct AsyncCounting: AsyncHandler {
  let body: @Sendable (Int, Event, Context) async throws -> Response
  var count = 0

  init(_ body: @escaping @Sendable (Int, Event, Context) async throws -> Response) {
    self.body = body
  }

  mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
    count += 1
    await Task.yield()
    return try await body(count, event, context)
  }
}

private struct Doubling: TypedHandler {
  struct Input: Decodable { var number: Int }
  struct Output: Encodable { var double: Int }

  func handle(_ input: Input, _ context: Context) throws -> Output { Output(double: input.number * 2) }
}

private struct Broken: Error, CustomStringConvertible {
  let description = "it broke"
}

/// Returns the number of open descriptors of this process (proc_pid_fd(5)).
private func openDescriptors() throws -> Int {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}

private func json(_ text: String) -> Response { Response(json: Array(text.utf8)) }

@Suite(.timeLimit(.minutes(10))) struct `A test runtime` {
  @Test func `keeps one function for all invocations`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { count, event, _ in Response(json: event.bytes + Array(" \(count)".utf8)) }
    }
    #expect(try await runtime.invoke("1", timeout: .seconds(60)).text == "1 1")
    let second = try await runtime.invoke(
      Event(Array("2".utf8), contentType: "text/plain"), timeout: .seconds(60))
    #expect(second.text == "2 2")
    #expect(second.contentType == "application/json")
    #expect(second.prelude == nil)
    #expect(second.interruption == nil)
    #expect(second.workFailures.isEmpty)
  }

  @Test func `passes its environment, the request ID, the headers and the deadline`() async throws {
    let runtime = try await TestRuntime(environment: [
      "AWS_LAMBDA_FUNCTION_NAME": "name", "GREETING": "hello",
    ]) {
      startup in
      let greeting = startup.environment["GREETING"] ?? ""
      return Counting(startup) { _, _, context in
        json(
          "\(greeting) \(context.functionName ?? "") \(context.requestID) \(context.traceID ?? "") \(context.remainingTime > .seconds(50))"
        )
      }
    }
    let response = try await runtime.invoke(
      "", timeout: .seconds(60), requestID: "id", headers: [HeaderField("Lambda-Runtime-Trace-Id", "Root=1")])
    #expect(response.text == "hello name id Root=1 true")
  }

  @Test func `chooses a different request ID for each invocation`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, _, context in json(context.requestID) }
    }
    let ids = [
      try await runtime.invoke("", timeout: .seconds(60)).text,
      try await runtime.invoke("", timeout: .seconds(60)).text,
    ]
    #expect(ids[0] != ids[1])
    for id in ids {
      #expect(id.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
      #expect(Array(id)[14] == "4")
    }
  }

  @Test func `throws what the caller receives`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { count, _, _ in
        switch count {
        case 1: throw Broken()
        case 2: throw InvocationFailure(type: "Function.bad-Event", message: "no name")
        default: Response(json: [UInt8](repeating: 0x20, count: 6_291_557))
        }
      }
    }
    await #expect(throws: InvocationFailure(type: "Function.Broken", message: "it broke")) {
      try await runtime.invoke("", timeout: .seconds(60))
    }
    await #expect(throws: InvocationFailure(type: "Function.BadEvent", message: "no name")) {
      try await runtime.invoke("", timeout: .seconds(60))
    }
    let tooLarge = await #expect(throws: InvocationFailure.self) {
      try await runtime.invoke("", timeout: .seconds(60))
    }
    #expect(tooLarge?.type == "Function.ResponseSizeTooLarge")
    #expect(tooLarge?.message.hasPrefix("The response has 6291557 bytes") == true)
  }

  @Test func `throws the error of the initialiser`() async throws {
    await #expect(throws: InvocationFailure(type: "Function.Broken", message: "it broke")) {
      _ = try await TestRuntime { _ -> Counting in throw Broken() }
    }
    await #expect(throws: InvocationFailure(type: "Function.Broken", message: "it broke")) {
      _ = try await TestRuntime { _ async throws -> AsyncCounting in throw Broken() }
    }
  }

  @Test func `collects the log, with levels and request IDs`() async throws {
    let runtime = try await TestRuntime(environment: [
      "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN",
    ]) {
      startup in
      Counting(startup) { _, _, context in
        context.log.info("not logged")
        context.log.warn("a warning", ["key": "value"])
        throw Broken()
      }
    }
    _ = try? await runtime.invoke("", timeout: .seconds(60), requestID: "id-1")
    let lines = runtime.logLines
    #expect(lines.count == 2)
    #expect(lines.first?.contains(#""level":"WARN""#) == true)
    #expect(lines.first?.contains(#""key":"value""#) == true)
    #expect(lines.last?.contains("Function.Broken: it broke") == true)
    #expect(lines.allSatisfy { $0.contains(#""requestId":"id-1""#) && $0.hasSuffix("}") })
  }

  @Test func `runs work after the response, and reports its errors`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, _, context in
        json("answer").then { context.log.info("first") }.then { throw Broken() }.then {
          context.log.info("third")
        }
      }
    }
    let response = try await runtime.invoke("", timeout: .seconds(60))
    #expect(response.text == "answer")
    #expect(response.workFailures == [InvocationFailure(type: "Function.Broken", message: "it broke")])
    #expect(
      runtime.logLines.map { $0.split(separator: "\t").last } == [
        "first", "Work after the response failed: Function.Broken: it broke", "third",
      ])
  }

  @Test func `is a typed function, too`() async throws {
    let runtime = try await TestRuntime { _ in JSONHandler(Doubling()) }
    #expect(try await runtime.invoke(#"{"number":4}"#, timeout: .seconds(60)).text == #"{"double":8}"#)
    let failure = await #expect(throws: InvocationFailure.self) {
      try await runtime.invoke("{}", timeout: .seconds(60))
    }
    #expect(failure?.type == "Function.BadEvent")
    #expect(failure?.message.contains("'number' is missing") == true)
  }

  @Test func `shuts down after the last invocation`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, event, _ in Response(json: event.bytes) }
    }
    _ = try await runtime.invoke("", timeout: .seconds(60))
    try await runtime.shutDown()
    #expect(runtime.logLines.last?.hasSuffix("shut down after 1") == true)
    await #expect(throws: TestRuntimeError.shutDown) { try await runtime.invoke("", timeout: .seconds(60)) }
    await #expect(throws: TestRuntimeError.shutDown) { try await runtime.shutDown() }
  }
}

@Suite(.timeLimit(.minutes(10))) struct `A deadline in a test runtime` {
  @Test func `fails a function that is late, and ends the environment`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, event, context in
        while context.remainingTime > .zero {}
        return Response(json: event.bytes)
      }
    }
    let expected = InvocationFailure(
      type: "Sandbox.Timedout", message: "RequestId: id-1 Error: Task timed out after 0.05 seconds")
    await #expect(throws: expected) {
      try await runtime.invoke("", timeout: .milliseconds(50), requestID: "id-1")
    }
    await #expect(throws: TestRuntimeError.timedOut(requestID: "id-1")) {
      try await runtime.invoke("", timeout: .seconds(60))
    }
  }

  @Test func `fails a function that never returns`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, _, _ in
        gate.wait()
        return json("")
      }
    }
    let failure = await #expect(throws: InvocationFailure.self) {
      try await runtime.invoke("", timeout: .milliseconds(50), requestID: "id-1")
    }
    #expect(failure?.type == "Sandbox.Timedout")
    await #expect(throws: TestRuntimeError.timedOut(requestID: "id-1")) {
      try await runtime.invoke("", timeout: .seconds(60))
    }
    gate.signal()
  }

  @Test func `passes during the work after a response`() async throws {
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, _, context in
        json("answer").then { while context.remainingTime > .zero {} }.then { context.log.info("never") }
      }
    }
    let response = try await runtime.invoke("", timeout: .seconds(2))
    #expect(response.text == "answer")
    #expect(response.workFailures.map(\.type) == ["Sandbox.Timedout"])
    #expect(
      runtime.logLines.last?.contains("Skipped 1 of 2 closures that should run after the response") == true)
  }

  @Test func `cancels an asynchronous function shortly before`() async throws {
    let runtime = try await TestRuntime { _ in
      AsyncCounting { _, _, _ in
        try await Task.sleep(for: .seconds(600))
        return json("")
      }
    }
    let failure = await #expect(throws: InvocationFailure.self) {
      try await runtime.invoke("", timeout: .seconds(2))
    }
    #expect(failure?.type == "Function.DeadlineExceeded")
  }

  @Test func `stops waiting if the test is cancelled`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let runtime = try await TestRuntime { startup in
      Counting(startup) { _, _, _ in
        gate.wait()
        return json("")
      }
    }
    let task = Task { try await runtime.invoke("", timeout: .seconds(600)) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    gate.signal()
  }
}

@Suite(.timeLimit(.minutes(10))) struct `An asynchronous function in a test runtime` {
  @Test func `has its context and works after the response`() async throws {
    let runtime = try await TestRuntime { startup async throws in
      await Task.yield()
      return AsyncCounting { count, _, _ in
        let id = await Task.detached { count }.value
        return json("\(id) \(Context.current?.requestID ?? "none")").then {
          try await Task.sleep(for: .milliseconds(1))
          throw Broken()
        }
      }
    }
    let response = try await runtime.invoke("", timeout: .seconds(60), requestID: "id-1")
    #expect(response.text == "1 id-1")
    #expect(response.workFailures.map(\.message) == ["it broke"])
  }

  /// Each runtime has its own thread, so neither tests nor runtimes wait for each other.
  @Test func `runs beside many others`() async throws {
    let answers = try await withThrowingTaskGroup { group in
      for number in 0..<40 {
        group.addTask {
          let runtime = try await TestRuntime { _ in
            AsyncCounting { _, event, _ in
              let sum = await Task.detached { number }.value
              return Response(streaming: "text/plain") { stream in
                await Task.yield()
                try stream.write(event.bytes)
              }.then { try await Task.sleep(for: .milliseconds(Int64(sum % 3))) }
            }
          }
          return try await runtime.invoke("\(number)", timeout: .seconds(60)).text
        }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(answers == Set((0..<40).map { "\($0)" }))
  }

  @Test func `leaves no descriptors behind`() async throws {
    func invokeOnce() async throws {
      let runtime = try await TestRuntime { _ in
        AsyncCounting { _, event, _ in
          try await Task.sleep(for: .milliseconds(1))
          return Response(json: event.bytes)
        }
      }
      _ = try await runtime.invoke("", timeout: .seconds(60))
      try await runtime.shutDown()
    }
    // Each has two descriptors and two threads while it works. Other tests of this process open some, too, and close them.
    let before = try openDescriptors()
    for _ in 0..<300 { try await invokeOnce() }
    let end = ContinuousClock.now + .seconds(60)
    while try openDescriptors() >= before + 300, .now < end { try await Task.sleep(for: .milliseconds(100)) }
    #expect(try openDescriptors() < before + 300)
  }
}
