package import Platform

/// Creates the function and handles invocations until the process is asked to stop.
///
/// If `makeHandler` throws, the error is reported to Lambda (`/runtime/init/error`) and thrown, so that `main` can exit with
/// status 1. Later failures are reported to the caller of the invocation or logged. After that, this function throws only if the
/// Runtime API becomes unreachable, a SnapStart hook fails, or the worker processes can't continue.
package func serve<Function: Handler & ~Copyable>(
  in environment: Environment, log: Log, until shutdown: ShutdownSignal,
  options: ServeOptions = ServeOptions(),
  _ makeHandler: () throws -> Function
) throws(RuntimeAPIError) {
  let server = Server(environment: environment, log: log, shutdown: shutdown, options: options)
  try server.run(makeHandler)
}

/// Runs a function from process start to shutdown.
struct Server {
  let environment: Environment
  let log: Log
  let shutdown: ShutdownSignal
  let options: ServeOptions

  func run<Function: Handler & ~Copyable>(_ makeHandler: () throws -> Function) throws(RuntimeAPIError) {
    let endpoint = try RuntimeEndpoint(environment)
    let api = RuntimeAPI(
      endpoint, environment: environment, log: log, time: SystemWaiter(shutdown: shutdown), shutdown: shutdown
    )
    let shutdownExtension = registeredExtension(at: endpoint)
    let concurrency = try concurrency(api)
    if concurrency > 1 {
      let pool = WorkerPool(count: concurrency, api: api, log: log, shutdown: shutdown)
      try pool.run { mark throws(RuntimeAPIError) in
        try serve(makeHandler, api, mark)
      }
    } else {
      try serve(makeHandler, api, mark())
    }
    _ = consume shutdownExtension
  }

  private func serve<Function: Handler & ~Copyable>(
    _ makeHandler: () throws -> Function, _ api: RuntimeAPI, _ mark: InvocationMark?
  ) throws(RuntimeAPIError) {
    if let mark { CrashNote.activate(for: log, mark) }
    // This must precede the function's initialiser, which may start threads that read the environment.
    let trace = TraceVariable()
    let function: Function
    do {
      function =
        try options.ownsProcess ? StopLimit.boundingInitialisation(makeHandler) : makeHandler()
    } catch {
      throw reportedInitialisationFailure(error, to: api)
    }
    var loop = InvocationLoop(function: function, api: api, log: log, trace: trace, mark: mark)
    if environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start" {
      guard try loop.passSnapshot() else { return }
    }
    try loop.run(within: options.ownsProcess ? StopLimit(shutdown) : nil)
  }

  /// Returns how many invocations to handle at once. It is one, except on Lambda Managed Instances.
  private func concurrency(_ api: RuntimeAPI) throws(RuntimeAPIError) -> Int {
    guard let text = environment.value("AWS_LAMBDA_MAX_CONCURRENCY") else { return 1 }
    if let count = Int(text), (1...WorkerPool.maximum).contains(count) {
      // AWS's own runtimes log the same, also with one worker.
      log.debug(
        "Starting the workers.",
        ["workerCount": .integer(count), "executionEnvironmentMaxConcurrency": .integer(count)])
      return count
    }
    let message =
      "AWS_LAMBDA_MAX_CONCURRENCY is '\(text)'. Set it to a number from 1 to \(WorkerPool.maximum)."
    throw reportedInitialisationFailure(
      InvocationFailure(type: "Runtime.BadConfiguration", message: message), to: api)
  }

  private func mark() -> InvocationMark? {
    do throws(Errno) {
      return try InvocationMark()
    } catch {
      log.warn("Can't allocate the memory for crash reports, so a crash won't name the invocation: \(error).")
      return nil
    }
  }

  /// Reports an initialisation failure to Lambda, and returns it as the error to throw.
  func reportedInitialisationFailure(_ error: any Error, to api: RuntimeAPI) -> RuntimeAPIError {
    let failure = InvocationFailure(error)
    api.reportInitialisationFailure(failure)
    return .initialisationFailed(failure)
  }

  private func registeredExtension(at endpoint: RuntimeEndpoint) -> ShutdownExtension? {
    guard options.registersExtension else { return nil }
    do throws(ExchangeError) {
      return try ShutdownExtension("lambda-runtime-shutdown", at: endpoint)
    } catch {
      // Emulators may not support extensions. The function then gets no SIGTERM, but works otherwise.
      log.warn("Can't register the extension that makes Lambda send SIGTERM before shutdown: \(error).")
      return nil
    }
  }
}
