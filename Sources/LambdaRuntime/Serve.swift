package import Platform

/// Makes the function and serves its invocations until the process is asked to stop.
///
/// A function that can't be made is reported to Lambda (`/runtime/init/error`) and then thrown, so that `main` ends the
/// process with a status that says so. Everything that fails later is told to the caller of the invocation, or is in
/// the log; only a Runtime API that stays away ends this function with an error.
package func serve<Function: Handler & ~Copyable>(
  in environment: Environment, log: Log, until shutdown: ShutdownSignal,
  options: ServeOptions = ServeOptions(),
  _ makeHandler: () throws -> Function
) throws(RuntimeAPIError) {
  let server = Server(environment: environment, log: log, shutdown: shutdown, options: options)
  try server.run(makeHandler)
}

/// One process's way from its environment to its end.
struct Server {
  let environment: Environment
  let log: Log
  let shutdown: ShutdownSignal
  let options: ServeOptions

  func run<Function: Handler & ~Copyable>(_ makeHandler: () throws -> Function) throws(RuntimeAPIError) {
    let endpoint = try RuntimeEndpoint(environment)
    let api = RuntimeAPI(
      endpoint, environment: environment, log: log, time: SystemTime(shutdown: shutdown), shutdown: shutdown)
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
    // Before the function can have started threads that read the environment.
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

  /// How many invocations are served at once: one, but on Lambda Managed Instances.
  private func concurrency(_ api: RuntimeAPI) throws(RuntimeAPIError) -> Int {
    guard let text = environment.value("AWS_LAMBDA_MAX_CONCURRENCY") else { return 1 }
    if let count = Int(text), (1...WorkerPool.maximum).contains(count) { return count }
    let message =
      "AWS_LAMBDA_MAX_CONCURRENCY is '\(text)'; a number from 1 to \(WorkerPool.maximum) is needed"
    throw reportedInitialisationFailure(
      InvocationFailure(type: "Runtime.BadConfiguration", message: message), to: api)
  }

  private func mark() -> InvocationMark? {
    do throws(Errno) {
      return try InvocationMark()
    } catch {
      log.warn("a crash won't tell which invocation it ended: \(error)")
      return nil
    }
  }

  /// Tells Lambda and the log that the function can't start.
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
      // An emulator may have no extensions; then there is no SIGTERM, and nothing else is lost.
      log.warn("the extension that has Lambda send SIGTERM could not be registered: \(error)")
      return nil
    }
  }
}
