package import Platform

/// The reason why a request to the Runtime API got no usable reply.
package enum ExchangeError: Error, Equatable, Sendable {
  /// The resolver returned no address for the host name.
  case unresolvable(host: String, reason: String)
  /// connect(2) failed.
  case unreachable(Errno)
  /// The connection failed while sending the request or receiving the reply.
  case broken(Errno)
  /// The server closed the connection before the first byte of a reply.
  case closed
  /// The server closed the connection within a reply. The text names the missing part.
  case cutOff(String)
  /// The named step exceeded its time limit.
  case timedOut(String)
  /// The reply isn't valid HTTP/1.1. The text says why.
  case malformed(String)
  /// The reply to a poll doesn't contain a usable event. The text says why.
  case noInvocation(String)
  /// A part of the reply exceeds its size limit, in bytes.
  case tooLarge(part: String, limit: Int)
  /// The Runtime API replied with an error status.
  case refused(status: Int, reason: String)
  /// The process was asked to stop while waiting.
  case shutdown
}

extension ExchangeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unresolvable(let host, let reason): "the host name '\(host)' has no address: \(reason)"
    case .unreachable(let errno): "can't connect: \(errno)"
    case .broken(let errno): "the connection failed: \(errno)"
    case .closed: "the server closed the connection without a reply"
    case .cutOff(let missing): "the reply is truncated: \(missing)"
    case .timedOut(let step): "timed out while \(step)"
    case .malformed(let what): "the reply is not valid HTTP/1.1: \(what)"
    case .noInvocation(let what): "the reply contains no event: \(what)"
    case .tooLarge(let part, let limit): "\(part) is larger than \(limit) bytes"
    case .refused(let status, let reason): "the Runtime API replied with status \(status): \(reason)"
    case .shutdown: "the process was asked to stop"
    }
  }

  /// Whether this is how a reused connection fails if the server closed it while it was idle.
  var isOfStaleConnection: Bool {
    switch self {
    case .closed, .broken, .refused(status: 408, _): true
    default: false
    }
  }
}
