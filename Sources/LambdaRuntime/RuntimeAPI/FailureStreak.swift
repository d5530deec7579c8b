import Platform

/// The retry policy for consecutive failures: how long to wait after each, and when to give up.
///
/// The delay doubles from 50 ms to 2 s. A random part of each delay, up to half of it, is subtracted, so that many environments
/// that lost the same server don't reconnect at once. If the server is unreachable for 1.5 s, the policy gives up: on Lambda the
/// server starts before the runtime does, and elsewhere it won't come back. A server that replies, even with an error, is retried
/// for ever, and its reply resets the 1.5 s.
struct FailureStreak {
  private static let backoff = Backoff(first: .milliseconds(50), cap: .seconds(2), jitter: 0.5)
  private static let backoffInAbsence = Backoff(
    first: .milliseconds(50), cap: .milliseconds(250), jitter: 0.5)
  private static let patienceWithAbsence = Duration.milliseconds(1_500)

  private let time: any TimeSource
  private var random: any RandomNumberGenerator
  /// The first of the current series of failed attempts to reach the server; nil if the last attempt reached it.
  private var absentSince: BootTime?
  private var failures = 0

  init(
    _ time: any TimeSource, random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.time = time
    self.random = random
  }

  /// Whether no failure has been counted yet.
  var isNew: Bool { failures == 0 }

  /// How long the server has been unreachable.
  var absence: Duration { absentSince?.duration(to: time.bootTime) ?? .zero }

  /// Counts a failure. Returns how long to wait before the next attempt; nil to give up.
  mutating func pause(after error: ExchangeError) -> Duration? {
    let backoff: Backoff
    switch error {
    case .unreachable, .unresolvable:
      let now = time.bootTime
      let start = absentSince ?? now
      absentSince = start
      guard start.duration(to: now) < Self.patienceWithAbsence else { return nil }
      backoff = Self.backoffInAbsence
    default:
      absentSince = nil
      backoff = Self.backoff
    }
    failures += 1
    return backoff.delay(afterFailures: failures, using: &random)
  }
}
