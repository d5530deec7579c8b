// Exported, so that a function needs only one import.
@_exported public import LambdaRuntime

/// A Lambda function whose handler is asynchronous.
///
/// As with `Handler`, one value handles all invocations of the process, one at a time, so it needs no locks:
///
/// ```swift
/// struct Lookup: AsyncHandler {
///   let client: Client
///
///   mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
///     Response(json: try await client.lookUp(event.bytes))
///   }
/// }
///
/// serveAndExit { startup in Lookup(client: try await Client(startup.environment)) }
/// ```
///
/// The handler, its child tasks and the actors that it calls all run on the runtime's thread. They switch threads at no point, which saves time, but
/// only one of them computes at a time. To use another processor, start a detached task. If ``serveAndExit(in:options:_:)`` was called on the main
/// thread, the code of the main actor runs on that thread, too.
public protocol AsyncHandler: ~Copyable {
  /// Handles one invocation and returns the response. An error is reported to the caller as that of a `Handler` is.
  ///
  /// The runtime cancels the task when the process is asked to stop, and shortly before the deadline: 100 ms before it, or a tenth of the
  /// invocation's time if that is less. If this method then throws a `CancellationError`, the caller receives `Function.Stopped` or
  /// `Function.DeadlineExceeded`.
  mutating func handle(_ event: Event, _ context: Context) async throws -> Response

  /// Releases resources before the process exits, as `Handler.shutDown()` does. The default implementation does nothing.
  mutating func shutDown() async
  /// Prepares for a SnapStart snapshot, as `Handler.prepareForSnapshot()` does. The default implementation does nothing.
  mutating func prepareForSnapshot() async throws
  /// Resumes from a SnapStart snapshot, as `Handler.resumeFromSnapshot()` does. The default implementation does nothing.
  mutating func resumeFromSnapshot() async throws
}

extension AsyncHandler where Self: ~Copyable {
  /// Does nothing, for handlers that hold nothing to release.
  public mutating func shutDown() async {}
  /// Does nothing, for handlers that hold nothing that a snapshot invalidates.
  public mutating func prepareForSnapshot() async throws {}
  /// Does nothing, for handlers that need no work in a restored copy.
  public mutating func resumeFromSnapshot() async throws {}
}

extension Context {
  /// The context of the invocation that the current task handles; nil if it handles none, or if the handler isn't an ``AsyncHandler``.
  ///
  /// It lets code to which no `Context` was passed log with the request ID: `Context.current?.log.warn("…")`. It is a task-local value, which
  /// child tasks, `Task { … }` and the closures of the response inherit, but `Task.detached` doesn't.
  @TaskLocal public static var current: Context?
}
