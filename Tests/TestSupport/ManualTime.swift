package import Platform

/// A clock that stands still until somebody sleeps.
package final class ManualTime: TimeKeeper {
  package var wallTime: WallTime
  package var bootTime: BootTime
  /// How long each sleep was.
  package private(set) var sleeps: [Duration] = []

  package init(wallTime: WallTime = WallTime(secondsSinceEpoch: 1_714_566_896)) {
    self.wallTime = wallTime
    bootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000_000)
  }

  package func sleep(until instant: BootTime) -> Wake {
    let duration = max(.zero, bootTime.duration(to: instant))
    sleeps.append(duration)
    advance(by: duration)
    return .onTime
  }

  package func advance(by duration: Duration) {
    wallTime = wallTime.advanced(by: duration)
    bootTime = bootTime.advanced(by: duration)
  }
}
