import LambdaRuntime
import LambdaRuntimeTesting
import Testing

@testable import greeting

@Suite struct `The greeting` {
  /// Runs the function on a separate thread, with its environment, deadlines, and work after the response.
  private func runtime() async throws -> TestRuntime {
    try await TestRuntime(environment: ["GREETING": "Hello"]) { startup in try Greeting(startup) }
  }

  @Test func `counts its invocations`() async throws {
    let runtime = try await runtime()
    #expect(try await runtime.invoke(#""Ada""#).text == #""Hello, number 1""#)
    #expect(try await runtime.invoke(#""Alan""#).text == #""Hello, number 2""#)
    #expect(runtime.logLines.contains { $0.contains("Greeted. count=2") })
  }

  @Test func `rejects an empty event`() async throws {
    let runtime = try await runtime()
    await #expect(
      throws: InvocationFailure(type: "Function.NoName", message: "The event is empty. Send a name.")
    ) {
      try await runtime.invoke("")
    }
  }

  @Test func `needs a greeting`() async {
    await #expect(throws: InvocationFailure(type: "Function.NoGreeting", message: "GREETING isn't set.")) {
      try await TestRuntime { startup in try Greeting(startup) }
    }
  }

  @Test func `is a value that a test can call`() throws {
    var greeting = try Greeting(Startup(environment: ["GREETING": "Hello"]))
    let response = try greeting.handle(Event(#""Ada""#), .forTesting(timeout: .seconds(1)))
    #expect(try response.collected().text == #""Hello, number 1""#)
  }

  @Test func `may read headers, if the context has some`() throws {
    let context = try Context(
      requestID: "id", deadline: WallTime.now.advanced(by: .seconds(9)),
      headers: [HeaderField("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")])
    #expect(context.traceID?.hasPrefix("Root=1") == true)
    #expect(context.remainingTime > .seconds(1))
  }
}
