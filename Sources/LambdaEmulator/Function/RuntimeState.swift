/// The state of one runtime process in the Runtime API, which determines the requests it may send.
///
/// The rules are those of AWS's Runtime API server, as observed in its Runtime Interface Emulator. A poll is always allowed,
/// except after an initialisation failure, and returns the current invocation again if it has not been answered. An answer is
/// allowed once, and only to the invocation that was handed out.
struct RuntimeState: Equatable, Sendable {
  enum Phase: Equatable, Sendable {
    /// The process has started, but neither polled nor failed.
    case starting
    /// The process has reported an initialisation failure. No further request is allowed.
    case failed
    /// The process is waiting for an invocation.
    case polling
    /// The process is handling the invocation.
    case invoking(requestID: String)
    /// The process has answered the invocation, but not polled again.
    case answered(requestID: String)
  }

  /// The reason why a request is rejected.
  enum Refusal: Error, Equatable, Sendable {
    /// Status 403, InvalidStateTransition.
    case invalidStateTransition(from: String, to: String)
    /// Status 400, InvalidRequestID.
    case invalidRequestID
    /// Status 410, InvokeTimeout: the answer is for an invocation that has ended.
    case invokeTimeout
  }

  private(set) var phase = Phase.starting

  /// Handles a poll. Returns the request ID of an unanswered invocation, which must be handed out again; nil if there is none.
  mutating func poll() throws(Refusal) -> String? {
    switch phase {
    case .failed: throw refusal(of: "Ready")
    case .invoking(let requestID): return requestID
    case .starting, .polling, .answered:
      phase = .polling
      return nil
    }
  }

  /// Records that the invocation was handed to the polling runtime.
  mutating func handOut(_ requestID: String) {
    phase = .invoking(requestID: requestID)
  }

  /// Handles an answer to the invocation `requestID`. `transition` says whether it is a response or an error.
  mutating func answer(_ requestID: String, transition: String) throws(Refusal) {
    try checkAnswer(requestID, transition: transition)
    phase = .answered(requestID: requestID)
  }

  /// Throws if an answer to the invocation `requestID` isn't allowed.
  func checkAnswer(_ requestID: String, transition: String) throws(Refusal) {
    switch phase {
    case .invoking(requestID): return
    case .answered(requestID): throw refusal(of: transition)
    default: throw .invalidRequestID
    }
  }

  /// Handles the report of an initialisation failure.
  mutating func failToStart() throws(Refusal) {
    guard phase == .starting else { throw refusal(of: "InitError") }
    phase = .failed
  }

  private func refusal(of transition: String) -> Refusal {
    .invalidStateTransition(from: phase.name, to: transition)
  }
}

extension RuntimeState.Phase {
  /// The name of the phase in AWS's error messages.
  var name: String {
    switch self {
    case .starting: "Started"
    case .failed: "InitError"
    case .polling: "Ready"
    case .invoking: "Running"
    case .answered: "ResponseSent"
    }
  }
}
