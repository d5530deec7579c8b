import Platform

/// The execution environment of a function: what callers and the function's process, through the Runtime API, use.
///
/// ``ExecutionEnvironment`` is that of an ordinary function, with one invocation at a time. ``ManagedEnvironment`` is that of a function
/// on Lambda Managed Instances, with several.
protocol FunctionEnvironment: Actor {
  /// The extensions that the function's process has registered.
  nonisolated var extensions: ExtensionRegistry { get }

  /// Invokes the function, and waits for the response.
  func invoke(_ request: InvocationRequest) async -> InvocationResult
  /// Ends the process as soon as no invocation is running, so that the next one starts the program again.
  func restart()
  /// Fails all invocations with `stopped`, and ends the function's process.
  func stop() async

  /// Waits for the next invocation. Returns nil to close the connection without a reply.
  func nextInvocation() async throws(RuntimeState.Refusal) -> Invocation?
  /// Lets a function with SnapStart take its snapshot, which is restored immediately. Returns false if the function has no SnapStart.
  func restore() -> Bool
  /// Throws if an answer isn't allowed.
  func checkAnswer(_ answer: AnswerHead) throws(RuntimeState.Refusal)
  /// Ends the invocation with the outcome in its answer.
  func takeAnswer(_ outcome: Outcome, _ answer: AnswerHead) throws(RuntimeState.Refusal)
  /// Ends the process's initialisation with an error.
  func takeInitError(_ document: [UInt8], type: String) throws(RuntimeState.Refusal)
  /// Starts a streamed response to the caller, and returns the continuation that receives its body.
  func beginStream(
    _ answer: AnswerHead, contentType: String?
  ) throws(RuntimeState.Refusal) -> AsyncThrowingStream<Answer.Piece, any Error>.Continuation
  /// Ends the streamed response to `requestID`. Throws if its invocation has ended in the meantime, for example because it timed out.
  func endStream(to requestID: String, _ end: StreamEnd) throws(RuntimeState.Refusal)
}

/// What the head of an answer says about it.
struct AnswerHead: Sendable {
  /// The request ID in its path.
  let requestID: String
  /// The value of `Lambda-Runtime-Invocation-Id`; nil if the runtime doesn't repeat it. Then nothing is checked.
  let invocationID: String?
  /// AWS's name of the answer in error messages.
  let transition: String

  /// Throws if the runtime answers an earlier attempt of the invocation.
  func check(_ current: Invocation) throws(RuntimeState.Refusal) {
    guard let invocationID, invocationID != current.invocationID else { return }
    throw .invokeTimeout
  }
}
