import CLinux
import Glibc

/// A point in time on the calendar clock, in nanoseconds since 1970-01-01T00:00:00Z (`CLOCK_REALTIME`).
///
/// For dates that the outside world sees: signatures, report ids, deadlines that AWS sends. Measure durations with
/// ``BootTime``, which can't be set.
public struct WallTime: Comparable, Hashable, Sendable {
  /// The nanoseconds since 1970-01-01T00:00:00Z, without leap seconds; negative before that. The range ends in the year 2262.
  public let nanosecondsSinceEpoch: Int64

  /// Creates the time `nanosecondsSinceEpoch` after 1970-01-01T00:00:00Z.
  public init(nanosecondsSinceEpoch: Int64) {
    self.nanosecondsSinceEpoch = nanosecondsSinceEpoch
  }

  /// Creates the time `milliseconds` after the epoch, clamped to the representable range.
  public init(millisecondsSinceEpoch milliseconds: Int64) {
    let (nanoseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    nanosecondsSinceEpoch = overflow ? (milliseconds < 0 ? .min : .max) : nanoseconds
  }

  package init(secondsSinceEpoch seconds: Int64) {
    let (milliseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
    self.init(millisecondsSinceEpoch: overflow ? (seconds < 0 ? .min : .max) : milliseconds)
  }

  /// The whole seconds since the epoch, rounded down.
  public var secondsSinceEpoch: Int64 {
    nanosecondsSinceEpoch / 1_000_000_000 - (nanosecondsSinceEpoch % 1_000_000_000 < 0 ? 1 : 0)
  }

  /// Returns whether the left time is earlier than the right one.
  public static func < (left: WallTime, right: WallTime) -> Bool {
    left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
  }

  /// Returns the duration from this time to `other`; negative if `other` is earlier.
  public func duration(to other: WallTime) -> Duration {
    difference(other.nanosecondsSinceEpoch, nanosecondsSinceEpoch)
  }

  /// Returns this time moved by `duration`, clamped to the representable range.
  public func advanced(by duration: Duration) -> WallTime {
    WallTime(nanosecondsSinceEpoch: saturatingSum(nanosecondsSinceEpoch, duration))
  }

  /// The current time.
  public static var now: WallTime { WallTime(nanosecondsSinceEpoch: nanoseconds(of: CLOCK_REALTIME)) }
}

/// A point in time on a clock that can't be set and that includes suspended time, in nanoseconds since boot
/// (`CLOCK_BOOTTIME`).
package struct BootTime: Comparable, Hashable, Sendable {
  package let nanosecondsSinceBoot: Int64

  package init(nanosecondsSinceBoot: Int64) {
    self.nanosecondsSinceBoot = nanosecondsSinceBoot
  }

  package static func < (left: BootTime, right: BootTime) -> Bool {
    left.nanosecondsSinceBoot < right.nanosecondsSinceBoot
  }

  /// Returns the duration from this time to `other`; negative if `other` is earlier.
  package func duration(to other: BootTime) -> Duration {
    difference(other.nanosecondsSinceBoot, nanosecondsSinceBoot)
  }

  /// Returns this time moved by `duration`, clamped to the representable range.
  package func advanced(by duration: Duration) -> BootTime {
    BootTime(nanosecondsSinceBoot: saturatingSum(nanosecondsSinceBoot, duration))
  }

  /// The latest representable time: the deadline of an operation without a time limit.
  package static let distantFuture = BootTime(nanosecondsSinceBoot: .max)

  package static var now: BootTime { BootTime(nanosecondsSinceBoot: nanoseconds(of: CLOCK_BOOTTIME)) }
}

extension Duration {
  /// The length in whole milliseconds, rounded up, from 0 to `Int32.max`, as poll(2) and libcurl expect it.
  package var millisecondsForTimeout: Int32 {
    guard self > .zero else { return 0 }
    let (seconds, attoseconds) = components
    let milliseconds = attoseconds / 1_000_000_000_000_000
    let part = attoseconds % 1_000_000_000_000_000 > 0 ? milliseconds + 1 : milliseconds
    guard seconds < Int64(Int32.max) / 1_000 else { return Int32.max }
    return Int32(seconds * 1_000 + part)
  }

  /// The length in seconds, including the fraction.
  package var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }

  /// The duration as text for people, such as `300 s` and `0.5 s`.
  package var inWords: String {
    components.attoseconds == 0 ? "\(components.seconds) s" : "\(inSeconds) s"
  }
}

private func nanoseconds(of clock: clockid_t) -> Int64 {
  var time = timespec()
  // Both clocks have existed since Linux 2.6.39 and the pointer is valid, so the call can't fail.
  _ = unsafe clock_gettime(clock, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

private func difference(_ later: Int64, _ earlier: Int64) -> Duration {
  let (nanoseconds, overflow) = later.subtractingReportingOverflow(earlier)
  return overflow ? .nanoseconds(later) - .nanoseconds(earlier) : .nanoseconds(nanoseconds)
}

private func saturatingSum(_ nanoseconds: Int64, _ duration: Duration) -> Int64 {
  let (seconds, attoseconds) = duration.components
  let (whole, tooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
  let (change, tooLongWithRest) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
  let (sum, overflow) = nanoseconds.addingReportingOverflow(change)
  guard tooLong || tooLongWithRest || overflow else { return sum }
  return duration < .zero ? .min : .max
}
