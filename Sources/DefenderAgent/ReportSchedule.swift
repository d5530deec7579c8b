package import Platform

/// Computes when reports are due: every interval after the first one, so that a slow report doesn't shift later ones.
package struct ReportSchedule: Sendable {
  private let interval: Duration
  package private(set) var next: BootTime

  /// One interval before ``next``.
  package var previous: BootTime { next.advanced(by: .zero - interval) }

  package init(interval: Duration, first: BootTime) {
    self.interval = interval
    next = first
  }

  /// Moves to the first due time after `now`. Due times that were missed, such as during a suspend, are skipped.
  package mutating func advance(past now: BootTime) {
    next = next.advanced(by: interval)
    guard next <= now else { return }
    let missed = (next.duration(to: now).inSeconds / interval.inSeconds).rounded(.down) + 1
    next = next.advanced(by: interval * missed)
    if next <= now { next = now.advanced(by: interval) }
  }

  /// Skips the due time if it is before `instant`, which is at most an interval away. The slot stays.
  package mutating func skip(before instant: BootTime) {
    if next < instant { next = next.advanced(by: interval) }
  }

  /// Moves the slot later by a random part of the interval.
  ///
  /// Used after a throttled report: if the account is over quota at this thing's slot, it will be in every interval. The
  /// slot never moves earlier, because Device Defender throttles reports that are less than 300 s apart.
  package mutating func moveOn(using generator: inout some RandomNumberGenerator) {
    next = next.advanced(by: interval * Double.random(in: 0..<1, using: &generator))
  }
}

/// Computes when a new process makes the first report of a loop that runs until it is stopped.
package struct FirstReport: Sendable {
  /// The time since the previous process made its last report; nil if that is unknown.
  private let sinceLast: Duration?
  private let interval: Duration

  /// Creates the computation for a process that starts at `now`.
  ///
  /// `lastReportID` is the number of the last report, which is the second in which it was made; 0 if there was none.
  package init(interval: Duration, lastReportID: UInt64, now: WallTime) {
    self.interval = interval
    let second = Int64(exactly: lastReportID) ?? 0
    // The report may have been made at the end of its second.
    sinceLast = second > 0 ? WallTime(secondsSinceEpoch: second).duration(to: now) - .seconds(1) : nil
  }

  /// Returns this thing's slot after `start`, or the same slot one interval later if the first one is less than an interval
  /// after the last report.
  ///
  /// Device Defender throttles reports that are less than 300 s apart.
  package func due(from start: BootTime, thing: String) -> BootTime {
    let offset = slotOffset(in: interval, thing: thing)
    guard let sinceLast, isRecent, sinceLast + offset < interval else { return start.advanced(by: offset) }
    return start.advanced(by: offset + interval)
  }

  /// Returns when a thing without a slot reports first: at once, or one interval after a recent last report.
  package func dueUnspread(from start: BootTime) -> BootTime {
    guard let sinceLast, isRecent else { return start }
    return start.advanced(by: interval - max(.zero, sinceLast))
  }

  /// Whether the last report was less than an interval ago. False if its date is in the future, because then the clock was changed.
  private var isRecent: Bool { sinceLast.map { $0 >= .seconds(-1) && $0 < interval } ?? false }
}

/// Returns a thing's slot as the time from the start of `interval`. It depends only on the thing's name.
///
/// The slots spread a fleet that starts at one moment evenly over the interval, in the same way after each restart. The
/// hash is FNV-1a (Fowler, Noll, Vo; 64 bits), followed by the mixing step of MurmurHash3, because names often differ in
/// the last digit only.
package func slotOffset(in interval: Duration, thing: String) -> Duration {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in thing.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
  hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
  hash ^= hash >> 33
  return interval * (Double(hash >> 11) / Double(1 << 53))
}
