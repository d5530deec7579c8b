package import Platform

/// The ids of reports: the second of the epoch, or one more than the last id if that second isn't later.
///
/// The ids of a thing have to increase, and no two reports may share one; AWS takes the second for the id of the first.
package struct ReportSequence: Equatable, Sendable {
  /// How far a saved id may be ahead of the clock, in seconds: ten years.
  ///
  /// The bound is wide because the clock may be wrong. Restarts add at most one id each, so they never reach it; damaged
  /// files and ids in milliseconds exceed it.
  package static let maximumLead: UInt64 = 315_576_000
  /// The beginning of 2026, in seconds since the epoch: an earlier clock hasn't been set yet.
  private static let earliestSecond: Int64 = 1_767_225_600

  /// The id of the last report; 0 if there was none.
  package private(set) var last: UInt64

  package init(last: UInt64 = 0) {
    self.last = last
  }

  /// Returns the id of the next report, made at `now`.
  package mutating func next(at now: WallTime) -> UInt64 {
    let second = UInt64(max(1, now.secondsSinceEpoch))
    // After the largest number there is no other one.
    last = max(second, last == .max ? last : last + 1)
    return last
  }

  /// Returns the largest id that a state may have at `now` if its file was last written at `written`.
  ///
  /// The file is younger than the clock on a device without a battery, which starts with an old date.
  package static func largestPlausibleID(at now: WallTime, written: WallTime) -> UInt64 {
    UInt64(max(earliestSecond, now.secondsSinceEpoch, written.secondsSinceEpoch)) + maximumLead
  }
}
