import CLinux
import LambdaRuntime
import LambdaRuntimeAsync
import WireFormats

/// A test function whose behaviour the event selects: `{"sleep":1}` waits until it is cancelled.
///
/// An event without a known key is echoed, and so is one of more than 256 bytes, which isn't parsed.
struct AsyncProbe: AsyncHandler {
  private let startup: Startup
  private var count = 0

  /// Throws if `BENCH_INIT_FAIL` is set.
  init(_ startup: Startup) async throws {
    self.startup = startup
    if startup.environment["BENCH_INIT_FAIL"] != nil {
      await Task.yield()
      throw InvocationFailure(type: "Function.InitFailed", message: "BENCH_INIT_FAIL is set")
    }
  }

  func shutDown() async {
    await Task.yield()
    startup.log.info("shutting down")
  }

  mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
    guard event.bytes.count <= 256, event.bytes.first == UInt8(ascii: "{"),
      let document = try? JSONValue(parsing: event.bytes),
      let (name, value) = document.members?.first.map({ ($0.name, $0.value) })
    else { return Response(json: event.bytes) }
    let echo = Response(json: event.bytes)
    switch name {
    case "fail": throw Failed()
    case "crash": trap()
    case "sleep": try await sleep(context.log)
    case "spin": try spin(context.log)
    case "traponcancel":
      try await withTaskCancellationHandler {
        try await sleep(context.log)
      } onCancel: {
        // A cancellation handler runs on the thread that cancels, here the runtime's own.
        trap()
      }
    case "threads": return try await threads()
    case "log":
      count += 1
      await logFromChild(count)
    case "stream": return stream(fails: value.string == "fail")
    case "then": return echo.then { await logFromChild(0) }
    case "thenfail": return echo.then { throw CancellationError() }.then { await logFromChild(0) }
    case "thenlate":
      return echo.then {
        try await Task.sleep(for: .milliseconds(200))
        await logFromChild(0)
      }
    case "thensleep": return echo.then { [log = context.log] in try await sleep(log) }
    default: break
    }
    return echo
  }

  private func stream(fails: Bool) -> Response {
    Response(streaming: "text/plain") { stream in
      for part in ["first part, ", "second part"] {
        try await Task.sleep(for: .milliseconds(1))
        try stream.write(Array(part.utf8))
      }
      if fails { throw Failed() }
    }
  }

  /// Reports whether each kind of code runs on the main thread.
  private func threads() async throws -> Response {
    async let child = clinux_is_main_thread() != 0
    let flags = [
      ("handler", clinux_is_main_thread() != 0), ("child", await child), ("mainActor", await onMainActor()),
      ("detached", await Task.detached { clinux_is_main_thread() != 0 }.value),
      ("afterwards", clinux_is_main_thread() != 0),
    ]
    return Response(json: Array("{\(flags.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ","))}".utf8))
  }
}

private struct Failed: Error, CustomStringConvertible { let description = "failed\nas \"asked\"" }

@MainActor private func onMainActor() async -> Bool {
  await Task.yield()
  MainActor.assertIsolated()
  return clinux_is_main_thread() != 0
}

/// Logs with the task-local context of a child task.
private func logFromChild(_ number: Int) async {
  await withTaskGroup { group in
    group.addTask { Context.current?.log.info("from a child task", ["number": .integer(number)]) }
  }
}

/// Waits until the task is cancelled.
private func sleep(_ log: Log) async throws {
  log.info("sleeping")
  defer { log.info("woken") }
  try await Task.sleep(for: .seconds(600))
}

/// Ends the process as an invalid index does.
private func trap() {
  let none: [Int] = []
  _ = none[none.count]
}

/// Computes until the task is cancelled.
private func spin(_ log: Log) throws {
  log.info("spinning")
  while !Task.isCancelled {}
  log.info("stopped spinning")
  try Task.checkCancellation()
}
