package import Platform

/// A clock that advances only when the code under test sleeps or the test advances it.
package final class ManualTime: TimeKeeper {
  package var wallTime: WallTime
  package var bootTime: BootTime
  /// The duration of each sleep.
  package private(set) var sleeps: [Duration] = []
  /// The times until which the code under test slept.
  package private(set) var wakeUps: [BootTime] = []
  /// The time of the stop request.
  package var shutdown: BootTime?
  package var shutdownSignal: ShutdownSignal? { nil }

  package init(wallTime: WallTime = WallTime(secondsSinceEpoch: 1_714_566_896)) {
    self.wallTime = wallTime
    bootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000_000)
  }

  package func sleep(until instant: BootTime) -> Wake {
    wakeUps.append(instant)
    let duration = max(.zero, bootTime.duration(to: min(instant, shutdown ?? instant)))
    sleeps.append(duration)
    advance(by: duration)
    guard let shutdown, shutdown <= bootTime else { return .onTime }
    return .shutdown
  }

  package func advance(by duration: Duration) {
    wallTime = wallTime.advanced(by: duration)
    bootTime = bootTime.advanced(by: duration)
  }
}
