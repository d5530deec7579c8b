package import LambdaRuntime

/// Makes a synchronous handler of an asynchronous one: each call runs a task on the runtime's thread, and returns when it has ended.
package struct AsyncAdapter<Function: AsyncHandler & ~Copyable>: Handler, ~Copyable {
  private let function: Storage<Function>
  private let thread: RuntimeThread
  private let enforcesDeadlines: Bool

  package init(_ startup: Startup, _ makeHandler: @escaping (Startup) async throws -> Function) throws {
    let thread = RuntimeThread(startup.shutdown)
    RuntimeThread.current = thread
    self.thread = thread
    enforcesDeadlines = startup.environment.hasEnforcedDeadlines
    function = try thread.run { Storage(try await makeHandler(startup)) }
  }

  package mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let function = function
    thread.deadline = enforcesDeadlines ? context.deadline : nil
    thread.context = context
    let response = try thread.runUntilDeadline { try await unsafe function.value.handle(event, context) }
    // The synchronous closures run outside of any task.
    return response.wrapped(in: { closure in try Context.$current.withValue(context, operation: closure) })
      ?? response
  }

  package mutating func shutDown() {
    let function = function
    thread.deadline = nil
    thread.context = nil
    // Its operation throws nothing.
    try? thread.run { await unsafe function.value.shutDown() }
  }

  package mutating func prepareForSnapshot() throws {
    let function = function
    try thread.run { try await unsafe function.value.prepareForSnapshot() }
  }

  package mutating func resumeFromSnapshot() throws {
    let function = function
    try thread.run { try await unsafe function.value.resumeFromSnapshot() }
  }
}

/// Holds a function that only one task uses at a time.
private final class Storage<Function: ~Copyable>: @unchecked Sendable {
  // Only one call is in progress at a time, so there is nothing to check, which would cost time for each invocation.
  @exclusivity(unchecked) var value: Function

  init(_ value: consuming Function) {
    unsafe self.value = value
  }
}
