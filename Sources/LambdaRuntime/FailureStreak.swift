import Platform

/// Failures in an unbroken row: how long to wait after each, and when to give up.
///
/// Waits double from 50 ms to 2 s, each cut by a random part of up to a half, so that many environments that lost one
/// server don't come back at once. A server that isn't there at all is given up after 1.5 s: under Lambda it is there
/// before the runtime is, and elsewhere it has gone for good. One that answers, but badly, has a minute.
struct FailureStreak {
  private static let shortest = Duration.milliseconds(50)
  private static let longest = Duration.seconds(2)
  private static let longestInAbsence = Duration.milliseconds(250)
  private static let patienceWithAbsence = Duration.milliseconds(1_500)
  private static let patience = Duration.seconds(60)

  private let time: any TimeKeeper
  private var start: BootTime?
  private var failures = 0

  init(_ time: any TimeKeeper) {
    self.time = time
  }

  /// Whether nothing has failed yet.
  var isNew: Bool { failures == 0 }

  /// How long it has been since the first failure.
  var duration: Duration { start?.duration(to: time.bootTime) ?? .zero }

  /// Counts a failure; returns how long to wait now, nil where it is time to give up.
  mutating func pause(after error: ExchangeError) -> Duration? {
    let now = time.bootTime
    let start = self.start ?? now
    self.start = start
    let (patience, longest) =
      switch error {
      case .unreachable, .unresolvable: (Self.patienceWithAbsence, Self.longestInAbsence)
      default: (Self.patience, Self.longest)
      }
    guard start.duration(to: now) < patience else { return nil }
    let full = min(longest, Self.shortest * (1 << min(failures, 10)))
    failures += 1
    return full - full * Double.random(in: 0...0.5)
  }
}
