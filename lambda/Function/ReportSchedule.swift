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
