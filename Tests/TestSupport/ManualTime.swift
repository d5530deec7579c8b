package import Platform

/// A clock that stands still until somebody sleeps, or a test moves it.
package final class ManualTime: TimeKeeper {
  package var wallTime: WallTime
  package var bootTime: BootTime
  /// How long each sleep was.
  package private(set) var sleeps: [Duration] = []
  /// The moments that were slept until.
  package private(set) var wakeUps: [BootTime] = []
  /// The moment at which the process is asked to stop.
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
