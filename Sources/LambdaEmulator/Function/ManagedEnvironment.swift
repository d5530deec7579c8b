import Glibc
import Platform

/// The execution environment of a function on Lambda Managed Instances: one process, which handles as many invocations at once as
/// it has open polls.
///
/// Other invocations wait for a poll. An invocation that exceeds its timeout fails for its caller, but the process isn't killed, and a
/// late answer is rejected with status 410.
actor ManagedEnvironment: FunctionEnvironment {
  /// An invocation that hasn't ended yet.
  private final class Active {
    let invocation: Invocation
    let start = BootTime.now
    var caller: CheckedContinuation<InvocationResult, Never>?
    var limit: Task<Void, Never>?
    /// The continuation of the streamed response in progress; nil if there is none.
    var stream: AsyncThrowingStream<Answer.Piece, any Error>.Continuation?

    init(_ invocation: Invocation, _ caller: CheckedContinuation<InvocationResult, Never>) {
      self.invocation = invocation
      self.caller = caller
    }
  }

  private struct Running {
    let process: ChildProcess
    /// Finishes when the process has ended and its end has been handled.
    let end: Task<Void, Never>
  }

  /// The number of timed-out invocations whose late answers are recognised.
  private static let rememberedTimeouts = 1_000

  nonisolated let extensions = ExtensionRegistry()
  private let function: FunctionConfiguration
  private let variables: [String: String]
  private let grace: Duration
  private let report: @Sendable (EmulatorEvent) -> Void

  private var running: Running?
  private var isStarting = false
  private var isStopping = false
  /// Whether the process must end before it gets another invocation.
  private var isRestartDue = false
  private var hasPolled = false
  private var initError: (document: [UInt8], type: String)?
  private var polls: [CheckedContinuation<Invocation?, Never>] = []
  /// The invocations that wait for a poll, in the order of their arrival.
  private var waiting: [Active] = []
  /// The invocations that the process is handling, by their request IDs.
  private var active: [String: Active] = [:]
  /// The request IDs of the last invocations that timed out.
  private var timedOut: [String] = []

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

  func invoke(_ request: InvocationRequest) async -> InvocationResult {
    await withCheckedContinuation { caller in
      let invocation = Invocation(
        requestID: randomUUID(), functionARN: function.arn, request: request,
        deadline: WallTime.now.advanced(by: function.timeout))
      report(.platform("START RequestId: \(invocation.requestID) Version: \(function.version)"))
      let new = Active(invocation, caller)
      new.limit = Task { [timeout = function.timeout] in
        // Cancelled once there is an outcome.
        if (try? await Task.sleep(for: timeout)) != nil { self.expire(new.invocation.requestID) }
      }
      waiting.append(new)
      handOut()
    }
  }

  /// Hands waiting invocations to open polls, and starts the process if there is none.
  private func handOut() {
    if isStopping {
      while let next = waiting.popFirst() { end(next, .stopped) }
      return
    }
    if isRestartDue { return }
    while let next = waiting.first, let poll = polls.popLast() {
      waiting.removeFirst()
      active[next.invocation.requestID] = next
      poll.resume(returning: next.invocation)
    }
    if !waiting.isEmpty, running == nil, !isStarting {
      isStarting = true
      Task { await start() }
    }
  }

  private func expire(_ requestID: String) {
    if let index = waiting.firstIndex(where: { $0.invocation.requestID == requestID }) {
      end(waiting.remove(at: index), .timedOut)
    } else if let late = active[requestID] {
      timedOut.append(requestID)
      if timedOut.count > Self.rememberedTimeouts { timedOut.removeFirst() }
      end(late, .timedOut)
    }
  }

  /// Ends an invocation, which is no longer in ``waiting``: logs it, and answers its caller.
  private func end(_ ended: Active, _ outcome: Outcome) {
    let invocation = ended.invocation
    active[invocation.requestID] = nil
    ended.limit?.cancel()
    if let stream = ended.stream {
      // Has no effect on a stream that is already complete.
      stream.finish(throwing: outcome.interruption(of: invocation, function))
    }
    ended.stream = nil
    let caller = ended.caller
    ended.caller = nil
    endOldProgram()
    let duration = ended.start.duration(to: .now)
    let peakMemory = running?.process.peakMemory
    let process = running?.process
    Task { [function, report] in
      // Output written before the response must appear before the END line.
      await process?.outputSoFar()
      if case .timedOut = outcome {
        let seconds = twoDecimals(function.timeout.inSeconds)
        report(
          .platform(
            "\(CivilTime(.now).extendedFormat) \(invocation.requestID) Task timed out after \(seconds) seconds"
          ))
      }
      let line = ReportLine(
        requestID: invocation.requestID, duration: duration, billed: duration, initDuration: nil,
        memoryMegabytes: function.memoryMegabytes, peakMemory: peakMemory, outcome: outcome)
      report(.platform("END RequestId: \(invocation.requestID)"))
      report(.platform(line.text))
      if let advice = outcome.advice { report(.notice(advice)) }
      caller?.resume(returning: outcome.result(of: invocation, function))
    }
  }

  // MARK: The process

  private func start() async {
    hasPolled = false
    initError = nil
    do throws(LaunchError) {
      let process = try await ChildProcess.start(function.bootstrap, environment: variables)
      let end = Task {
        let status = await process.wait { [report] line in report(.output(line)) }
        self.processEnded(process, status)
      }
      running = Running(process: process, end: end)
      if isStopping { process.send(SIGKILL) }
      endOldProgram()
    } catch {
      isRestartDue = false
      let failed = waiting
      waiting = []
      for invocation in failed { end(invocation, .notStarted(error)) }
    }
    isStarting = false
  }

  private func processEnded(_ process: ChildProcess, _ status: ProcessStatus) {
    guard running?.process === process else { return }
    running = nil
    let wasRestarted = isRestartDue
    isRestartDue = false
    extensions.removeAll()
    for poll in polls { poll.resume(returning: nil) }
    polls = []
    let outcome: Outcome = initError.map { .initError($0.document, type: $0.type) } ?? .exited(status)
    for lost in active.values { end(lost, outcome) }
    // A process that ends before its first poll would probably do so again.
    if !hasPolled && !wasRestarted {
      while let next = waiting.popFirst() { end(next, outcome) }
    }
    handOut()
  }

  func stop() async {
    isStopping = true
    for lost in active.values { end(lost, .stopped) }
    handOut()
    for poll in polls { poll.resume(returning: nil) }
    polls = []
    // If there is no process, nothing else ends their waits.
    defer { extensions.removeAll() }
    if let running { await end(running) }
  }

  func restart() {
    isRestartDue = running != nil || isStarting
    endOldProgram()
  }

  /// Ends the process if it must end and isn't handling an invocation.
  private func endOldProgram() {
    guard isRestartDue, active.isEmpty, let running else { return }
    Task { await end(running) }
  }

  /// Ends the process, and kills it after the grace period.
  private func end(_ running: Running) async {
    running.process.send(extensions.isEmpty ? SIGKILL : SIGTERM)
    let deadline = Task { [grace] in
      if (try? await Task.sleep(for: grace)) != nil { running.process.send(SIGKILL) }
    }
    await running.end.value
    deadline.cancel()
  }

  // MARK: The Runtime API

  func nextInvocation() async throws(RuntimeState.Refusal) -> Invocation? {
    if isStopping { return nil }
    hasPolled = true
    return await withCheckedContinuation { poll in
      polls.append(poll)
      handOut()
    }
  }

  func restore() -> Bool { false }

  func checkAnswer(_ answer: AnswerHead) throws(RuntimeState.Refusal) { _ = try invocation(of: answer) }

  /// Returns the invocation that an answer is for. Throws if the answer isn't allowed.
  private func invocation(of answer: AnswerHead) throws(RuntimeState.Refusal) -> Active {
    guard let found = active[answer.requestID], found.stream == nil else {
      throw timedOut.contains(answer.requestID) ? .invokeTimeout : .invalidRequestID
    }
    try answer.check(found.invocation)
    return found
  }

  func takeAnswer(_ outcome: Outcome, _ answer: AnswerHead) throws(RuntimeState.Refusal) {
    end(try invocation(of: answer), outcome)
  }

  func takeInitError(_ document: [UInt8], type: String) throws(RuntimeState.Refusal) {
    guard !hasPolled, initError == nil else {
      throw .invalidStateTransition(from: hasPolled ? "Ready" : "InitError", to: "InitError")
    }
    initError = (document, type)
    while let next = waiting.popFirst() { end(next, .initError(document, type: type)) }
  }

  func beginStream(
    _ answer: AnswerHead, contentType: String?
  ) throws(RuntimeState.Refusal) -> AsyncThrowingStream<Answer.Piece, any Error>.Continuation {
    let invocation = try invocation(of: answer)
    let (pieces, continuation) = AsyncThrowingStream.makeStream(of: Answer.Piece.self)
    invocation.stream = continuation
    invocation.caller?.resume(
      returning: InvocationResult(
        requestID: answer.requestID, failure: nil, contentType: contentType, body: .stream(pieces)))
    invocation.caller = nil
    return continuation
  }

  func endStream(to requestID: String, _ streamEnd: StreamEnd) throws(RuntimeState.Refusal) {
    guard let streaming = active[requestID], let stream = streaming.stream else { throw .invokeTimeout }
    switch streamEnd {
    case .complete:
      stream.finish()
      end(streaming, .streamed(errorType: nil))
    case .failed(let type, let document):
      stream.yield(.trailers(StreamTrailers.forCaller(type: type, document: document)))
      stream.finish()
      end(streaming, .streamed(errorType: type))
    case .tooLong: end(streaming, .streamTooLong)
    case .cutShort: end(streaming, .streamCutShort)
    }
  }
}

extension Array {
  fileprivate mutating func popFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
