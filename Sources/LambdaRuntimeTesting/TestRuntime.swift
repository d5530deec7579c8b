public import LambdaRuntime
public import LambdaRuntimeAsync
import Platform

/// Runs a function in the process of a test, and invokes it as the runtime does.
///
/// ```swift
/// @Test func `greets the caller`() async throws {
///   let runtime = try await TestRuntime(environment: ["GREETING": "hello"]) { startup in try Hello(startup) }
///   #expect(try await runtime.invoke(#""world""#).text == #""hello number 1""#)
///   await #expect(throws: InvocationFailure(type: "Function.NoName", message: "the event is empty; send a name")) {
///     try await runtime.invoke("")
///   }
/// }
/// ```
///
/// The function has its own thread and handles one invocation at a time, so it may block its thread, and tests may run in parallel.
public final class TestRuntime: Sendable {
  private let mailbox = Mailbox()
  private let lines = LogLines()

  /// Creates a function. If its initialiser fails, throws the `InvocationFailure` that Lambda would receive.
  ///
  /// The function sees only the variables in `environment`, not those of the process.
  public init<Function: Handler & SendableMetatype & ~Copyable>(
    environment: Environment = [:], _ makeHandler: @escaping @Sendable (Startup) throws -> Function
  ) async throws {
    try await start(environment) { startup, mailbox, started in
      FunctionHost.run(startup, mailbox, started, makeHandler)
    }
  }

  /// Creates an asynchronous function. Otherwise the same.
  public init<Function: AsyncHandler & SendableMetatype & ~Copyable>(
    environment: Environment = [:], _ makeHandler: @escaping @Sendable (Startup) async throws -> Function
  ) async throws {
    try await start(environment) { startup, mailbox, started in
      FunctionHost.run(startup, mailbox, started) { startup in try AsyncAdapter(startup, makeHandler) }
    }
  }

  deinit { mailbox.close(.shutDown) }

  /// The lines that the function and the runtime have logged, without line feeds.
  ///
  /// `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL` in the environment of the function select the format and the level.
  public var logLines: [String] { lines.all }

  /// Invokes the function, and returns its response after the work that `Response.then(_:)` added.
  ///
  /// If the invocation fails, throws the `InvocationFailure` that the caller would receive. If the function needs longer than `timeout`, this is
  /// Lambda's `Sandbox.Timedout`. Lambda then ends the environment, so further invocations throw a ``TestRuntimeError``. A function that never
  /// returns blocks its own thread, but not the test: this method stops waiting one second after the deadline.
  ///
  /// `headers` are those of the Runtime API that describe the invocation, such as `Lambda-Runtime-Trace-Id`.
  public func invoke(
    _ event: Event, timeout: Duration = .seconds(3), requestID: String? = nil, headers: [HeaderField] = []
  ) async throws -> ReceivedResponse {
    let invocation = TestInvocation(
      event, requestID: requestID ?? newRequestID(), timeout: timeout, headers: headers)
    try mailbox.send(.invoke(invocation))
    return try await invocation.reply.value
  }

  /// Invokes the function with JSON text. Otherwise the same.
  public func invoke(
    _ json: String, timeout: Duration = .seconds(3), requestID: String? = nil, headers: [HeaderField] = []
  ) async throws -> ReceivedResponse {
    try await invoke(Event(json), timeout: timeout, requestID: requestID, headers: headers)
  }

  /// Calls the function's `shutDown()` when earlier invocations have ended. Later invocations throw a ``TestRuntimeError``.
  public func shutDown() async throws {
    let reply = Reply<Void>()
    try mailbox.send(.shutDown(reply))
    try await reply.value
  }

  private func start(
    _ environment: Environment, _ body: @escaping @Sendable (Startup, Mailbox, Reply<Void>) -> Void
  ) async throws {
    let configured = Log(environment)
    let lines = lines
    let log = Log(level: configured.level, format: configured.format) { _, line in lines.append(line) }
    let startup = Startup(environment: environment, log: log, shutdown: nil)
    let started = Reply<Void>()
    let mailbox = mailbox
    try startThread { body(startup, mailbox, started) }
    let timer = Task.detached {
      try await Task.sleep(for: initialisationLimit)
      started.resume(
        with: .failure(
          InvocationFailure(
            type: "Sandbox.Timedout",
            message: "The function's initialiser takes longer than \(initialisationLimit), Lambda's limit.")))
    }
    defer { timer.cancel() }
    try await started.value
  }
}

/// How long Lambda allows an initialiser to take.
private let initialisationLimit = Duration.seconds(10)

/// Why a ``TestRuntime`` accepts no more invocations.
public enum TestRuntimeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// An invocation timed out, so Lambda would have ended the environment.
  case timedOut(requestID: String)
  /// The function was shut down.
  case shutDown

  /// The reason, and how to continue the test.
  public var description: String {
    switch self {
    case .timedOut(let requestID):
      "The function's environment ended when invocation \(requestID) timed out. Create another TestRuntime, or pass a longer timeout."
    case .shutDown: "The function was shut down. Create another TestRuntime."
    }
  }
}

/// The lines of a log, which any thread may append.
private final class LogLines: @unchecked Sendable {
  private let lock = Lock()
  private var lines: [String] = []

  var all: [String] { lock.withLock { lines } }

  func append(_ line: [UInt8]) {
    let text = String(decoding: line.last == UInt8(ascii: "\n") ? line.dropLast() : line[...], as: UTF8.self)
    lock.withLock { lines.append(text) }
  }
}
