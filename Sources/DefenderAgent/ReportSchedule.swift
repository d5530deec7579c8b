package import Platform

/// When reports are due: every interval, counted from the first one, so that slow reports don't shift later ones.
package struct ReportSchedule: Sendable {
  private let interval: Duration
  package private(set) var next: BootTime

  package init(interval: Duration, first: BootTime) {
    self.interval = interval
    next = first
  }

  /// Moves to the first due time after `now`. Those that were missed, asleep say, are not made up for.
  package mutating func advance(past now: BootTime) {
    next = next.advanced(by: interval)
    guard next <= now else { return }
    let missed = (next.duration(to: now).inSeconds / interval.inSeconds).rounded(.down) + 1
    next = next.advanced(by: interval * missed)
    if next <= now { next = now.advanced(by: interval) }
  }

  /// Moves the beat on by a random part of the interval.
  ///
  /// For a report that was throttled: the account's quota is used up in the second that this thing has, and without a
  /// move it would be in each interval again. Later only, since Device Defender throttles two reports in less than 300 s.
  package mutating func moveOn(using generator: inout some RandomNumberGenerator) {
    next = next.advanced(by: interval * Double.random(in: 0..<1, using: &generator))
  }
}

/// When the first report of a loop without an end is due, that of a new process.
package struct FirstReport: Sendable {
  /// How long ago the last report was made, by the process before this one; nil where nobody knows.
  private let sinceLast: Duration?
  private let interval: Duration

  /// `lastReportID` is the number of the last report, the second in which it was made; 0 where there was none.
  package init(interval: Duration, lastReportID: UInt64, now: WallTime) {
    self.interval = interval
    let second = Int64(exactly: lastReportID) ?? 0
    // The report may have been made at the end of its second.
    sinceLast = second > 0 ? WallTime(secondsSinceEpoch: second).duration(to: now) - .seconds(1) : nil
  }

  /// At this thing's share of the interval after `start`; an interval later where that would be less than an interval
  /// after the last report: the place stays, and Device Defender throttles two reports in less than 300 s.
  package func due(from start: BootTime, thing: String) -> BootTime {
    let share = shareOfInterval(interval, thing: thing)
    guard let sinceLast, isRecent, sinceLast + share < interval else { return start.advanced(by: share) }
    return start.advanced(by: share + interval)
  }

  /// At once, or an interval after the last report, of a thing that isn't spread.
  package func dueUnspread(from start: BootTime) -> BootTime {
    guard let sinceLast, isRecent else { return start }
    return start.advanced(by: interval - max(.zero, sinceLast))
  }

  /// Whether the last report was less than an interval ago; one that is still to come was dated by another clock.
  private var isRecent: Bool { sinceLast.map { $0 >= .seconds(-1) && $0 < interval } ?? false }
}

/// A thing's share of `interval`, from its name alone: where in the interval its reports fall.
///
/// Spreads a fleet that starts at once evenly over the interval, the same way after each restart. FNV-1a (Fowler,
/// Noll, Vo; 64 bits), finished with the mixing step of MurmurHash3 since names often differ in the last digit only.
package func shareOfInterval(_ interval: Duration, thing: String) -> Duration {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in thing.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
  hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
  hash ^= hash >> 33
  return interval * (Double(hash >> 11) / Double(1 << 53))
}
