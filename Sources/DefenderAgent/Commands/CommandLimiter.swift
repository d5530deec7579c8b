package import Platform

/// Limits how often commands are carried out: a token bucket with 3 tokens, and a new one every 6 s.
///
/// Every message on the command topic takes a token, malformed ones too.
package struct CommandLimiter: Sendable {
  package static let burst = 3
  package static let refill = Duration.seconds(6)
  /// The reason in the response to the first command over the limit.
  package static let reason = "too many commands; at most \(burst) at once and 10 a minute are carried out"

  package enum Verdict: Equatable, Sendable {
    case admitted
    /// The first command over the limit, which gets a response.
    case refused
    /// A later command over the limit, which gets no response.
    case dropped
  }

  /// When the bucket is full again. Each token moves it by ``refill``.
  private var full: BootTime?
  private var hasRefused = false

  package init() {}

  package mutating func verdict(at now: BootTime) -> Verdict {
    let start = max(full ?? now, now)
    guard now.duration(to: start) <= Self.refill * (Self.burst - 1) else {
      defer { hasRefused = true }
      return hasRefused ? .dropped : .refused
    }
    full = start.advanced(by: Self.refill)
    hasRefused = false
    return .admitted
  }
}

/// The responses to the last commands with an id, so that a repeated command isn't carried out again.
package struct AnsweredCommands: Sendable {
  package static let capacity = 16

  private var answered: [(id: String, response: CommandResponse)] = []

  package init() {}

  package subscript(id: String) -> CommandResponse? {
    // Two strings that differ only in their normalization are different ids.
    answered.first { $0.id.utf8.elementsEqual(id.utf8) }?.response
  }

  package mutating func append(_ response: CommandResponse) {
    guard let id = response.id else { return }
    if answered.count == Self.capacity { answered.removeFirst() }
    answered.append((id, response))
  }
}
