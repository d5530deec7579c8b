import Platform

/// Failures in an unbroken row: how long to wait after each, and when to give up.
///
/// Waits double from 50 ms to 2 s, each cut by a random part of up to a half, so that many environments that lost one
/// server don't come back at once. A server that isn't there at all is given up after 1.5 s: under Lambda it is there
/// before the runtime is, and elsewhere it has gone for good. One that answers, but badly, is never given up, and its
/// answer ends an absence.
struct FailureStreak {
  private static let shortest = Duration.milliseconds(50)
  private static let longest = Duration.seconds(2)
  private static let longestInAbsence = Duration.milliseconds(250)
  private static let patienceWithAbsence = Duration.milliseconds(1_500)

  private let time: any TimeKeeper
  /// When the server was first found not to be there, since it last was.
  private var absentSince: BootTime?
  private var failures = 0

  init(_ time: any TimeKeeper) {
    self.time = time
  }

  /// Whether nothing has failed yet.
  var isNew: Bool { failures == 0 }

  /// How long the server has not been there.
  var absence: Duration { absentSince?.duration(to: time.bootTime) ?? .zero }

  /// Counts a failure; returns how long to wait now, nil where it is time to give up.
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
