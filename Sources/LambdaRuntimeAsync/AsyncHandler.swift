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
/// The handler runs on the runtime's thread, and so do its child tasks and the actors that it calls. So none of their steps costs a switch to
/// another thread, but their computations don't run in parallel. Start a detached task for a computation that should use another processor.
/// If ``serveAndExit(in:options:_:)`` was called on the main thread, the code of the main actor runs on the same thread, too.
public protocol AsyncHandler: ~Copyable {
  /// Handles one invocation and returns the response. An error is reported to the caller as that of a `Handler` is.
  ///
  /// The task is cancelled when the process is asked to stop, and shortly before the deadline: 100 ms, or a tenth of the invocation's time
  /// if that is less. If this method then throws a `CancellationError`, the caller receives `Function.DeadlineExceeded` or
  /// `Function.Stopped`.
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
  /// The context of the invocation of an ``AsyncHandler`` to which the current code belongs; nil elsewhere.
  ///
  /// The closures of a response, synchronous or not, have it too. It is a task-local value: child tasks and `Task { … }` inherit it, but
  /// `Task.detached` doesn't. Code that has no `Context` can log with `Context.current?.log`.
  @TaskLocal public static var current: Context?
}
