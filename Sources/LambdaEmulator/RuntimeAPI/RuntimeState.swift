/// Where one runtime process stands with the Runtime API, and what it may therefore say next.
///
/// The rules are those of AWS's own Runtime API server, as its runtime interface emulator shows them: a poll is
/// allowed whenever the runtime isn't in the middle of a failed start, and repeats an invocation that is still
/// open; an answer is allowed once, and only to the invocation that was handed out.
struct RuntimeState: Equatable, Sendable {
  enum Phase: Equatable, Sendable {
    /// Started, and neither polled nor failed yet.
    case starting
    /// Told of a failed start; nothing is allowed any more.
    case failed
    /// Waits for an invocation.
    case polling
    /// Works on the invocation.
    case invoking(requestID: String)
    /// Answered the invocation, and didn't poll again yet.
    case answered(requestID: String)
  }

  /// Why a request is refused.
  enum Refusal: Error, Equatable, Sendable {
    /// Status 403, InvalidStateTransition.
    case invalidStateTransition(from: String, to: String)
    /// Status 400, InvalidRequestID.
    case invalidRequestID
  }

  private(set) var phase = Phase.starting

  /// Takes a poll; returns the invocation to hand out again where one is open.
  mutating func poll() throws(Refusal) -> String? {
    switch phase {
    case .failed: throw refusal(of: "Ready")
    case .invoking(let requestID): return requestID
    case .starting, .polling, .answered:
      phase = .polling
      return nil
    }
  }

  /// Hands an invocation to the runtime that polls.
  mutating func handOut(_ requestID: String) {
    phase = .invoking(requestID: requestID)
  }

  /// Takes an answer, a response or an error (`transition` says which), to the invocation `requestID`.
  mutating func answer(_ requestID: String, transition: String) throws(Refusal) {
    try checkAnswer(requestID, transition: transition)
    phase = .answered(requestID: requestID)
  }

  /// Checks whether an answer to the invocation `requestID` would be taken.
  func checkAnswer(_ requestID: String, transition: String) throws(Refusal) {
    switch phase {
    case .invoking(requestID): return
    case .answered(requestID): throw refusal(of: transition)
    default: throw .invalidRequestID
    }
  }

  /// Takes the report of a failed start.
  mutating func failToStart() throws(Refusal) {
    guard phase == .starting else { throw refusal(of: "InitError") }
    phase = .failed
  }

  private func refusal(of transition: String) -> Refusal {
    .invalidStateTransition(from: phase.name, to: transition)
  }
}

extension RuntimeState.Phase {
  /// The phase in the words of AWS's error messages.
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
