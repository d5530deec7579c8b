import Platform

/// The retry policy for consecutive failures: how long to wait after each, and when to give up.
///
/// The delay doubles from 50 ms to 2 s. A random amount of up to one half is subtracted, so that many environments that lost the
/// same server don't reconnect at once. If the server is unreachable for 1.5 s, the policy gives up: on Lambda the server starts
/// before the runtime does, and elsewhere it won't come back. A server that replies, even with an error, is retried for ever,
/// and its reply resets the 1.5 s.
struct FailureStreak {
  private static let shortest = Duration.milliseconds(50)
  private static let longest = Duration.seconds(2)
  private static let longestInAbsence = Duration.milliseconds(250)
  private static let patienceWithAbsence = Duration.milliseconds(1_500)

  private let time: any TimeKeeper
  /// The first of the current series of failed attempts to reach the server; nil if the last attempt reached it.
  private var absentSince: BootTime?
  private var failures = 0

  init(_ time: any TimeKeeper) {
    self.time = time
  }

  /// Whether no failure has been counted yet.
  var isNew: Bool { failures == 0 }

  /// How long the server has been unreachable.
  var absence: Duration { absentSince?.duration(to: time.bootTime) ?? .zero }

  /// Counts a failure. Returns how long to wait before the next attempt; nil to give up.
  mutating func pause(after error: ExchangeError) -> Duration? {
    let longest: Duration
    switch error {
    case .unreachable, .unresolvable:
      let now = time.bootTime
      let start = absentSince ?? now
      absentSince = start
      guard start.duration(to: now) < Self.patienceWithAbsence else { return nil }
      longest = Self.longestInAbsence
    default:
      absentSince = nil
      longest = Self.longest
    }
    let full = min(longest, Self.shortest * (1 << min(failures, 10)))
    failures += 1
    return full - full * Double.random(in: 0...0.5)
  }
}
