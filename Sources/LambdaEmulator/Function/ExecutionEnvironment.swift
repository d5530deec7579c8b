import Glibc
import Platform
import WireFormats

/// The execution environment of the function: one process and one invocation at a time. Other invocations wait.
///
/// It coordinates three parties: callers that invoke the function, the process that uses the Runtime API, and the kernel, which
/// reports that the process has ended. An actor, so that none of them observes a half-finished state change.
actor ExecutionEnvironment: FunctionEnvironment {
  private struct Caller {
    let request: InvocationRequest
    let answer: CheckedContinuation<InvocationResult, Never>
  }

  private struct Running {
    let process: ChildProcess
    /// Finishes when the process has ended and its end has been handled.
    let end: Task<Void, Never>
  }

  nonisolated let extensions = ExtensionRegistry()
  private let function: FunctionConfiguration
  private let variables: [String: String]
  private let grace: Duration
  private let recorder: LogRecorder

  private var callers: [Caller] = []
  /// Handles the callers' requests one after another; nil while there are none.
  private var service: Task<Void, Never>?
  private var isStopping = false
  /// Whether the process must end before the next invocation.
  private var isRestartDue = false

  private var running: Running?
  private var startedAt: BootTime?
  private var state = RuntimeState()
  private var hasPolled = false
  private var initDuration: Duration?
  private var peakMemory: Int?
  private var initError: (document: [UInt8], type: String)?
  /// The pending `/next` request.
  private var poll: CheckedContinuation<Invocation?, Never>?

  private var current: Invocation?
  /// The log of the current invocation.
  private var log: InvocationLog?
  /// The request ID of an invocation that has exceeded its timeout.
  private var overdue: String?
  /// Receives the outcome of the current invocation; nil if the process ended before it received the invocation.
  private var outcome: CheckedContinuation<Outcome?, Never>?
  private var caller: CheckedContinuation<InvocationResult, Never>?
  /// Those that wait until the process polls again, which it does after the work that follows its response.
  private var idleness: [CheckedContinuation<Void, Never>] = []
  /// The streamed response in progress; nil if there is none.
  private var stream: (requestID: String, pieces: AsyncThrowingStream<Answer.Piece, any Error>.Continuation)?

  init(
    function: FunctionConfiguration, variables: [String: String], grace: Duration,
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    self.function = function
    self.variables = variables
    self.grace = grace
    recorder = LogRecorder(report)
  }

  private nonisolated func report(_ event: EmulatorEvent) { recorder.record(event) }

  // MARK: Callers

  /// Invokes the function. Waits until earlier invocations have finished.
  func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await withCheckedContinuation { continuation in
      callers.append(Caller(request: request, answer: continuation))
      if service == nil { service = Task { await serveCallers() } }
    }
  }

  private func serveCallers() async {
    while isRestartDue || !callers.isEmpty {
      if isRestartDue {
        await endOldProgram()
      } else {
        let next = callers.removeFirst()
        await serve(next.request, next.answer)
      }
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
    let log = recorder.begin()
    self.log = log
    report(.platform("START RequestId: \(invocation.requestID) Version: \(function.version)"))
    let outcome = await outcome(of: invocation)
    if let running {
      peakMemory = running.process.peakMemory ?? peakMemory
      if case .timedOut = outcome { running.process.send(SIGKILL) }
      // Output written before the response must appear before the END line.
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
    recorder.end()
    if let advice = outcome.advice { report(.notice(advice)) }
    var result = outcome.result(of: invocation, function)
    result.log = log
    answerCaller(result)
  }

  private func answerCaller(_ result: InvocationResult) {
    caller?.resume(returning: result)
    caller = nil
  }

  /// Runs the invocation until it is answered, its process ends or its timeout expires.
  private func outcome(of invocation: Invocation) async -> Outcome {
    let limit = Task { [timeout = function.timeout] in
      // Cancelled once there is an outcome.
      if (try? await Task.sleep(for: timeout)) != nil { self.expire(invocation.requestID) }
    }
    defer { limit.cancel() }
    while true {
      // Don't hand the invocation to a process that has died in the meantime.
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

  /// Hands out the invocation and waits for its outcome. Returns nil if the process ended before it received the invocation.
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
    if let stream, let current {
      // Has no effect on a stream that is already complete.
      stream.pieces.finish(throwing: (outcome ?? .stopped).interruption(of: current, function))
    }
    stream = nil
    waiting.resume(returning: outcome)
  }

  // MARK: The process

  private func start() async throws(LaunchError) {
    // Reset this before the start, because the process may send a request before this function resumes.
    state = RuntimeState()
    hasPolled = false
    initError = nil
    initDuration = nil
    peakMemory = nil
    startedAt = .now
    let process = try await ChildProcess.start(function.bootstrap, environment: variables)
    let end = Task {
      let status = await process.wait { [recorder] line in recorder.record(.output(line)) }
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
    // A streamed response counts as answered in `state` as soon as it begins, although it is still in progress.
    let isStreamed = stream != nil && stream?.requestID == current?.requestID
    let isHandedOut = if case .invoking = state.phase { true } else { isStreamed }
    let hadPolled = hasPolled
    running = nil
    extensions.removeAll()
    state = RuntimeState()
    hasPolled = false
    becomeIdle()
    poll?.resume(returning: nil)
    poll = nil
    if isStopping { return }
    guard outcome != nil else {
      if current == nil, !isRestartDue {
        report(.notice("The function's process ended (\(status)). The next invocation will start it again."))
      }
      return
    }
    if let initError {
      finish(.initError(initError.document, type: initError.type))
    } else if hadPolled && !isHandedOut {
      // The process ended between two invocations and never received this one. Hand it to the next process.
      finish(nil)
    } else {
      finish(.exited(status))
    }
  }

  /// Waits until the process has ended, and kills it after the grace period.
  private func endProcess() async {
    if let running { await end(running, within: grace) }
  }

  /// Waits until the process has ended, and kills it after `grace`.
  private func end(_ running: Running, within grace: Duration) async {
    let deadline = Task {
      if (try? await Task.sleep(for: grace)) != nil { running.process.send(SIGKILL) }
    }
    await running.end.value
    deadline.cancel()
  }

  /// Fails all invocations with `stopped`, and ends the process.
  ///
  /// As on Lambda, it receives SIGTERM if it has registered an extension, and SIGKILL after the grace period. Otherwise it receives
  /// SIGKILL immediately.
  func stop() async {
    isStopping = true
    // If there is no process, nothing else ends their waits.
    defer { extensions.removeAll() }
    finish(.stopped)
    poll?.resume(returning: nil)
    poll = nil
    if let running {
      await waitForIdleness()
      running.process.send(extensions.isEmpty ? SIGKILL : SIGTERM)
      await end(running, within: grace)
    }
    // If a process is just being started, `start` ends it.
    await service?.value
  }

  func restart() {
    isRestartDue = true
    if service == nil { service = Task { await serveCallers() } }
  }

  /// Ends the process between two invocations. The next one starts the program that is there then.
  private func endOldProgram() async {
    if let running {
      await waitForIdleness()
      running.process.send(extensions.isEmpty ? SIGKILL : SIGTERM)
      await end(running, within: grace)
    }
    isRestartDue = false
  }

  /// Waits until the process has finished the work that follows its last response, but not longer than the grace period.
  private func waitForIdleness() async {
    guard case .answered = state.phase else { return }
    let limit = Task { [grace] in
      if (try? await Task.sleep(for: grace)) != nil { becomeIdle() }
    }
    await withCheckedContinuation { idleness.append($0) }
    limit.cancel()
  }

  private func becomeIdle() {
    for waiting in idleness { waiting.resume() }
    idleness = []
  }

  // MARK: The Runtime API

  /// Waits for the next invocation. Returns nil to close the connection without a reply.
  func nextInvocation() async throws(RuntimeState.Refusal) -> Invocation? {
    becomeIdle()
    if isStopping { return nil }
    let isRepeated = try state.poll() != nil
    noteFirstPoll()
    // A runtime has only one open poll, so an older one belongs to a lost connection.
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

  func restore() -> Bool { variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start" }

  func checkAnswer(_ answer: AnswerHead) throws(RuntimeState.Refusal) {
    if let current, current.requestID == answer.requestID { try answer.check(current) }
    try state.checkAnswer(answer.requestID, transition: answer.transition)
  }

  func takeAnswer(_ outcome: Outcome, _ answer: AnswerHead) throws(RuntimeState.Refusal) {
    try checkAnswer(answer)
    try state.answer(answer.requestID, transition: answer.transition)
    finish(outcome)
  }

  func takeInitError(_ document: [UInt8], type: String) throws(RuntimeState.Refusal) {
    try state.failToStart()
    initError = (document, type)
    finish(.initError(document, type: type))
  }

  /// Starts a streamed response to the caller, and returns the continuation that receives its body.
  func beginStream(
    _ answer: AnswerHead, contentType: String?
  ) throws(RuntimeState.Refusal) -> AsyncThrowingStream<Answer.Piece, any Error>.Continuation {
    try checkAnswer(answer)
    try state.answer(answer.requestID, transition: answer.transition)
    let (pieces, continuation) = AsyncThrowingStream.makeStream(of: Answer.Piece.self)
    stream = (answer.requestID, continuation)
    answerCaller(
      InvocationResult(
        requestID: answer.requestID, failure: nil, contentType: contentType, body: .stream(pieces), log: log))
    return continuation
  }

  /// Ends the streamed response to `requestID`.
  func endStream(to requestID: String, _ end: StreamEnd) throws(RuntimeState.Refusal) {
    // The connection of a process that has ended or timed out may outlast its invocation.
    guard let stream, stream.requestID == requestID else { throw .invokeTimeout }
    switch end {
    case .complete:
      stream.pieces.finish()
      finish(.streamed(errorType: nil))
    case .failed(let type, let document):
      stream.pieces.yield(.trailers(StreamTrailers.forCaller(type: type, document: document)))
      stream.pieces.finish()
      finish(.streamed(errorType: type))
    case .tooLong: finish(.streamTooLong)
    case .cutShort: finish(.streamCutShort)
    }
  }
}
