package import Platform

/// Makes the function and serves its invocations until the process is asked to stop.
///
/// A function that can't be made is reported to Lambda (`/runtime/init/error`) and then thrown, so that `main` ends the
/// process with a status that says so. Everything that fails later is told to the caller of the invocation, or is in
/// the log; only a Runtime API that stays away ends this function with an error.
package func serve<Function: Handler & ~Copyable>(
  in environment: Environment, log: Log, until shutdown: ShutdownSignal,
  _ makeHandler: () throws -> Function
) throws(RuntimeAPIError) {
  let time = SystemTime(shutdown: shutdown)
  let api = RuntimeAPI(
    try RuntimeEndpoint(environment), environment: environment, log: log, time: time, shutdown: shutdown)
  let function: Function
  do {
    function = try makeHandler()
  } catch {
    let failure = InvocationFailure(error)
    log.error("the function could not start: \(failure.type): \(failure.message)")
    api.reportInitialisationFailure(failure)
    throw .initialisationFailed(failure)
  }
  var loop = InvocationLoop(function: function, api: api, log: log)
  try loop.run()
}

/// Takes one event after another and answers it.
struct InvocationLoop<Function: Handler & ~Copyable>: ~Copyable {
  private var function: Function
  private let api: RuntimeAPI
  private let log: Log

  init(function: consuming Function, api: RuntimeAPI, log: Log) {
    self.function = function
    self.api = api
    self.log = log
  }

  /// Returns when the process was asked to stop, after the invocation that was under way.
  mutating func run() throws(RuntimeAPIError) {
    var trace = TraceVariable()
    while let invocation = try api.nextInvocation() {
      log.requestID = invocation.context.requestID
      trace.set(invocation.context.traceID)
      let outcome = outcome(of: invocation)
      if case .failure(let failure) = outcome { log.error("\(failure.type): \(failure.message)") }
      api.answer(invocation, with: outcome)
      log.requestID = nil
    }
  }

  private mutating func outcome(of invocation: borrowing Invocation) -> Result<Response, InvocationFailure> {
    do {
      return .success(try function.handle(invocation.event, invocation.context))
    } catch {
      return .failure(InvocationFailure(error))
    }
  }
}
