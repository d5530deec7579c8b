package import Platform

/// Why a request to the Runtime API got no answer that can be used.
package enum ExchangeError: Error, Equatable, Sendable {
  /// The host name could not be turned into an address.
  case unresolvable(host: String, reason: String)
  /// Nobody took the connection.
  case unreachable(Errno)
  /// The connection failed while the request went out, or while the answer came in.
  case broken(Errno)
  /// The connection ended before the first byte of an answer.
  case closed
  /// The connection ended inside an answer; says what was missing.
  case cutOff(String)
  /// The time for this step was used up; says which.
  case timedOut(String)
  /// The answer isn't HTTP/1.1; says where it departs from it.
  case malformed(String)
  /// The answer is no invocation; says what it lacks.
  case noInvocation(String)
  /// A part of the answer is larger than is ever accepted.
  case tooLarge(part: String, limit: Int)
  /// The answer came, and is a refusal.
  case refused(status: Int, reason: String)
  /// The process was asked to stop while it waited.
  case shutdown
}

extension ExchangeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unresolvable(let host, let reason): "the host name '\(host)' has no address: \(reason)"
    case .unreachable(let errno): "no connection: \(errno)"
    case .broken(let errno): "the connection failed: \(errno)"
    case .closed: "the connection was closed without an answer"
    case .cutOff(let missing): "the answer was cut off: \(missing)"
    case .timedOut(let step): "time ran out while \(step)"
    case .malformed(let what): "the answer is not HTTP/1.1: \(what)"
    case .noInvocation(let what): "the answer is no invocation: \(what)"
    case .tooLarge(let part, let limit): "\(part) is larger than \(limit) bytes"
    case .refused(let status, let reason): "the answer has status \(status): \(reason)"
    case .shutdown: "the process was asked to stop"
    }
  }

  /// Whether a reused connection fails like this if the other side gave it up while nobody used it.
  var isOfStaleConnection: Bool {
    switch self {
    case .closed, .broken, .refused(status: 408, _): true
    default: false
    }
  }
}
