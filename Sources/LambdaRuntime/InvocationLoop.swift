import Platform

/// Polls for events and answers them, one after another.
struct InvocationLoop<Function: Handler & ~Copyable>: ~Copyable {
  private var function: Function
  private let api: RuntimeAPI
  private let log: Log
  private let trace: TraceVariable
  private let mark: InvocationMark?

  /// `mark` receives the ID of the current invocation.
  init(
    function: consuming Function, api: RuntimeAPI, log: Log, trace: TraceVariable = TraceVariable(),
    mark: InvocationMark?
  ) {
    self.function = function
    self.api = api
    self.log = log
    self.trace = trace
    self.mark = mark
  }

  /// Serves until the process is asked to stop. Finishes the current invocation first, for at most as long as `limit` allows.
  mutating func run(within limit: StopLimit?) throws(RuntimeAPIError) {
    while let invocation = try api.nextInvocation() {
      limit?.start(log)
      log.requestID = invocation.context.requestID
      mark?.ids = invocation.ids
      trace.set(invocation.context.traceBytes)
      let deadline = invocation.context.deadline
      // A deadline that was already past when the event arrived says nothing about the time that is left.
      let limitsWork = api.enforcesDeadlines && api.time.wallTime < deadline
      let outcome = outcome(of: invocation)
      if case .failure(let failure) = outcome { log.error("\(failure.type): \(failure.message)") }
      api.answer(invocation, with: outcome)
      if case .success(let response) = outcome, !response.followUps.isEmpty {
        _ = response.runFollowUps(until: limitsWork ? deadline : nil, api.time, log)
      }
      mark?.ids = nil
      log.requestID = nil
    }
    limit?.start(log)
    function.shutDown()
  }

  /// Lets SnapStart take its snapshot, and returns true in each restored copy. Returns false if the process was asked to stop.
  mutating func passSnapshot() throws(RuntimeAPIError) -> Bool {
    do {
      try function.prepareForSnapshot()
    } catch {
      let failure = InvocationFailure(error)
      api.reportInitialisationFailure(failure)
      throw .snapshotHookFailed(failure)
    }
    guard try api.waitForRestore() else { return false }
    do {
      try function.resumeFromSnapshot()
    } catch {
      let failure = InvocationFailure(error)
      api.reportRestoreFailure(failure)
      throw .snapshotHookFailed(failure)
    }
    return true
  }

  private mutating func outcome(of invocation: borrowing Invocation) -> Result<Response, InvocationFailure> {
    do {
      return .success(try function.handle(invocation.event, invocation.context))
    } catch {
      return .failure(InvocationFailure(error))
    }
  }
}
