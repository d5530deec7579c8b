package import Platform

/// Generates report ids: the current second since the epoch, or one more than the last id if that second
/// isn't later.
///
/// AWS IoT requires the ids of a thing to increase and to be unique.
package struct ReportSequence: Equatable, Sendable {
  /// How far a saved id may be ahead of the clock, in seconds: ten years.
  ///
  /// The bound is wide because the clock may be wrong. Restarts add at most one id each and never reach it;
  /// ids of damaged files and ids in milliseconds exceed it.
  package static let maximumLead: UInt64 = 315_576_000
  /// The beginning of 2026, in seconds since the epoch. A clock that is earlier hasn't been set yet.
  private static let earliestSecond: Int64 = 1_767_225_600

  /// The id of the last report; 0 if there was none.
  package private(set) var last: UInt64

  package init(last: UInt64 = 0) {
    self.last = last
  }

  /// Returns the id of the next report, made at `now`.
  package mutating func next(at now: WallTime) -> UInt64 {
    let second = UInt64(max(1, now.secondsSinceEpoch))
    // The largest number has no successor.
    last = max(second, last == .max ? last : last + 1)
    return last
  }

  /// Returns the largest plausible id in a state file that was last written at `written`.
  ///
  /// On a device without a battery-backed clock, `now` can be earlier than the time at which the file was
  /// written.
  package static func largestPlausibleID(at now: WallTime, written: WallTime) -> UInt64 {
    UInt64(max(earliestSecond, now.secondsSinceEpoch, written.secondsSinceEpoch)) + maximumLead
  }
}
