package import Platform

/// Numbers of reports: the second of the epoch, or one more than the last number where that isn't past.
///
/// They have to increase, and no two reports of a thing may have the same; the service takes the second for the first.
package struct ReportSequence: Equatable, Sendable {
  /// The number of the last report; 0 where there was none.
  package private(set) var last: UInt64

  package init(last: UInt64 = 0) {
    self.last = last
  }

  /// The number of the next report, made at `now`.
  package mutating func next(at now: WallTime) -> UInt64 {
    let second = UInt64(max(1, now.secondsSinceEpoch))
    // At the largest number there is no further one.
    last = max(second, last == .max ? last : last + 1)
    return last
  }
}
