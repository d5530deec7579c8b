import Glibc
import Platform
import WireFormats

/// The one place in which the function runs: one process at a time, one invocation at a time, the others wait.
///
/// Three parties meet here: callers, who want an invocation; the process, which speaks through the Runtime API; and
/// the kernel, which says that the process has ended. An actor, so that none sees the others' half-done work.
actor ExecutionEnvironment {
  private struct Caller {
    let request: InvocationRequest
    let answer: CheckedContinuation<InvocationResult, Never>
  }

  private struct Running {
    let process: ChildProcess
    /// Ends when the process has ended and everybody was told.
    let end: Task<Void, Never>
  }

  private let function: FunctionConfiguration
  private let variables: [String: String]
  private let grace: Duration
  private let report: @Sendable (EmulatorEvent) -> Void

  private var callers: [Caller] = []
  /// Serves the callers, one after the other; nil while there is none.
  private var service: Task<Void, Never>?
  private var isStopping = false

  private var running: Running?
  private var startedAt: BootTime?
  private var state = RuntimeState()
  private var hasPolled = false
  private var initDuration: Duration?
  private var peakMemory: Int?
  private var initError: (document: [UInt8], type: String)?
  /// The `/next` that waits for an invocation.
  private var poll: CheckedContinuation<Invocation?, Never>?

  private var current: Invocation?
  /// The request id of an invocation whose time is up.
  private var overdue: String?
  /// Gets nil where the process ended before the invocation reached it.
  private var outcome: CheckedContinuation<Outcome?, Never>?
  private var caller: CheckedContinuation<InvocationResult, Never>?
  /// The response that is on its way, where it is a stream.
  private var stream: (requestID: String, pieces: AsyncThrowingStream<Answer.Piece, any Error>.Continuation)?

  init(
    function: FunctionConfiguration, variables: [String: String], grace: Duration,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    self.function = function
    self.variables = variables
    self.grace = grace
    self.report = report
  }

  // MARK: Callers

  /// Invokes the function, after those who asked before.
  func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await withCheckedContinuation { continuation in
      callers.append(Caller(request: request, answer: continuation))
      if service == nil { service = Task { await serveCallers() } }
    }
  }

  private func serveCallers() async {
    while !callers.isEmpty {
      let next = callers.removeFirst()
      await serve(next.request, next.answer)
    }
    service = nil
  }

  private func serve(
    _ request: InvocationRequest, _ answer: CheckedContinuation<InvocationResult, Never>
  ) async {
    let start = BootTime.now
    let invocation = Invocation(
      requestID: randomUUID(), functionARN: function.arn, request: request,
      deadline: WallTime.now.advanced(by: function.timeout))
    caller = answer
    report(.platform("START RequestId: \(invocation.requestID) Version: \(function.version)"))
    let outcome = await outcome(of: invocation)
    if let running {
      peakMemory = running.process.peakMemory ?? peakMemory
      if case .timedOut = outcome { running.process.send(SIGKILL) }
      // What was written before the answer belongs before the END line.
      await running.process.outputSoFar()
    }
    switch outcome {
    case .timedOut, .initError: await endProcess()
    default: break
    }
    current = nil
    let duration = start.duration(to: .now)
    let reportLine = ReportLine(
      requestID: invocation.requestID, duration: duration - (initDuration ?? .zero), billed: duration,
      initDuration: initDuration, memoryMegabytes: function.memoryMegabytes, peakMemory: peakMemory,
      outcome: outcome)
    initDuration = nil
    if case .timedOut = outcome {
      let time = CivilTime(.now).extendedFormat
      let seconds = twoDecimals(function.timeout.inSeconds)
      report(.platform("\(time) \(invocation.requestID) Task timed out after \(seconds) seconds"))
    }
    report(.platform("END RequestId: \(invocation.requestID)"))
    report(.platform(reportLine.text))
    let result = outcome.result(of: invocation, function)
    answerCaller(result)
  }

  private func answerCaller(_ result: InvocationResult) {
    caller?.resume(returning: result)
    caller = nil
  }

  /// Runs the invocation until it is answered, its process ends or its time is up.
  private func outcome(of invocation: Invocation) async -> Outcome {
    let limit = Task { [timeout = function.timeout] in
      // Cancelled once there is an outcome.
      if (try? await Task.sleep(for: timeout)) != nil { self.expire(invocation.requestID) }
    }
    defer { limit.cancel() }
    while true {
      // A process that has died in the meantime mustn't get the invocation.
      if let running, running.process.hasEnded { await running.end.value }
      do throws(LaunchError) {
        if running == nil, !isStopping { try await start() }
      } catch {
        return .notStarted(error)
      }
      if isStopping { return .stopped }
      if overdue == invocation.requestID { return .timedOut }
      if let outcome = await answer(to: invocation) { return outcome }
    }
  }

  /// Hands the invocation out and waits for what comes of it; nil where the process ended before it had it.
  private func answer(to invocation: Invocation) async -> Outcome? {
    await withCheckedContinuation { continuation in
      outcome = continuation
      current = invocation
      if let poll {
        self.poll = nil
        state.handOut(invocation.requestID)
        poll.resume(returning: invocation)
      }
    }
  }

  private func expire(_ requestID: String) {
    overdue = requestID
    if current?.requestID == requestID { finish(.timedOut) }
  }

  private func finish(_ outcome: Outcome?) {
    guard let waiting = self.outcome else { return }
    self.outcome = nil
    stream?.pieces.finish(throwing: StreamError.stopped)
    stream = nil
    waiting.resume(returning: outcome)
  }

  // MARK: The process

  private func start() async throws(LaunchError) {
    // Before the start: the process may speak sooner than this function goes on.
    state = RuntimeState()
    hasPolled = false
    initError = nil
    initDuration = nil
    peakMemory = nil
    startedAt = .now
    let process = try await ChildProcess.start(function.bootstrap, environment: variables)
    let end = Task {
      let status = await process.wait { [report] line in report(.output(line)) }
      self.processEnded(process, status)
    }
    running = Running(process: process, end: end)
    if isStopping {
      process.send(SIGKILL)
      await end.value
    }
  }

  private func processEnded(_ process: ChildProcess, _ status: ProcessStatus) {
    guard running?.process === process else { return }
    // One that streams its response is answered for the Runtime API, and still under way.
    let isStreamed = stream != nil && stream?.requestID == current?.requestID
    let isHandedOut = if case .invoking = state.phase { true } else { isStreamed }
    let hadPolled = hasPolled
    running = nil
    state = RuntimeState()
    hasPolled = false
    poll?.resume(returning: nil)
    poll = nil
    if isStopping { return }
    guard outcome != nil else {
      if current == nil {
        report(.notice("The function's process ended (\(status)); the next invocation starts it again."))
      }
      return
    }
    if let initError {
      finish(.initError(initError.document, type: initError.type))
    } else if hadPolled && !isHandedOut {
      // It ended between two invocations: this one never reached it, and is for the next process.
      finish(nil)
    } else {
      finish(.exited(status))
    }
  }

  /// Sees to it that the process is gone, with a moment's grace where it ends by itself.
  private func endProcess() async {
    if let running { await end(running, within: grace) }
  }

  /// Waits for the end of the process; after `grace` it is killed.
  private func end(_ running: Running, within grace: Duration) async {
    let deadline = Task {
      if (try? await Task.sleep(for: grace)) != nil { running.process.send(SIGKILL) }
    }
    await running.end.value
    deadline.cancel()
  }

  /// Ends everything: the process gets SIGTERM, and SIGKILL after a grace; callers are told.
  func stop() async {
    isStopping = true
    finish(.stopped)
    poll?.resume(returning: nil)
    poll = nil
    if let running {
      running.process.send(SIGTERM)
      await end(running, within: grace)
    }
    // A process that was about to start is ended there.
    await service?.value
  }

  // MARK: The Runtime API

  /// The invocation to work on, once there is one; nil where the connection is to be closed instead.
  func nextInvocation() async throws(RuntimeState.Refusal) -> Invocation? {
    if isStopping { return nil }
    let isRepeated = try state.poll() != nil
    noteFirstPoll()
    // A runtime has one poll open: an older one is a connection that was lost.
    poll?.resume(returning: nil)
    poll = nil
    if let current, isRepeated || outcome != nil {
      state.handOut(current.requestID)
      return current
    }
    return await withCheckedContinuation { poll = $0 }
  }

  private func noteFirstPoll() {
    guard !hasPolled else { return }
    hasPolled = true
    initDuration = startedAt?.duration(to: .now)
  }

  func checkAnswer(_ requestID: String, transition: String) throws(RuntimeState.Refusal) {
    try state.checkAnswer(requestID, transition: transition)
  }

  func takeAnswer(
    _ outcome: Outcome, to requestID: String, transition: String
  ) throws(RuntimeState.Refusal) {
    try state.answer(requestID, transition: transition)
    finish(outcome)
  }

  func takeInitError(_ document: [UInt8], type: String) throws(RuntimeState.Refusal) {
    try state.failToStart()
    initError = (document, type)
    finish(.initError(document, type: type))
  }

  /// Answers the caller with a body that is still to come.
  func beginStream(
    to requestID: String, contentType: String?
  ) throws(RuntimeState.Refusal) -> AsyncThrowingStream<Answer.Piece, any Error>.Continuation {
    try state.answer(requestID, transition: "InvocationResponse")
    let (pieces, continuation) = AsyncThrowingStream.makeStream(of: Answer.Piece.self)
    stream = (requestID, continuation)
    answerCaller(
      InvocationResult(
        requestID: requestID, failure: nil, contentType: contentType, body: .stream(pieces)))
    return continuation
  }

  /// Ends the streamed response to `requestID`, with the error type that its trailers tell, or broken off.
  func endStream(to requestID: String, _ end: Result<String?, StreamError>) {
    // The connection of a process that has ended, or was out of time, may outlast its invocation.
    guard let stream, stream.requestID == requestID else { return }
    self.stream = nil
    switch end {
    case .success(let errorType):
      if errorType != nil {
        stream.pieces.yield(.trailers([HeaderField("X-Amz-Function-Error", "Unhandled")]))
      }
      stream.pieces.finish()
      finish(.streamed(errorType: errorType))
    case .failure(let error):
      stream.pieces.finish(throwing: error)
      finish(.streamed(errorType: "Runtime.TruncatedResponse"))
    }
  }
}
