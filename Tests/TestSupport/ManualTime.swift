package import Platform

/// Time that passes only when somebody sleeps, or when a test says so.
package final class ManualTime: TimeKeeper {
  package var wallTime: WallTime
  package var bootTime: BootTime
  /// The moments that were slept until.
  package private(set) var sleeps: [BootTime] = []
  /// The moment at which the process is asked to stop.
  package var shutdown: BootTime?

  package init(
    wallTime: WallTime = WallTime(secondsSinceEpoch: 1_700_000_000),
    bootTime: BootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000_000)
  ) {
    self.wallTime = wallTime
    self.bootTime = bootTime
  }

  package func advance(by duration: Duration) {
    wallTime = wallTime.advanced(by: duration)
    bootTime = bootTime.advanced(by: duration)
  }

  package func sleep(until instant: BootTime) -> Wake {
    sleeps.append(instant)
    let end = min(instant, shutdown ?? instant)
    if end > bootTime { advance(by: bootTime.duration(to: end)) }
    guard let shutdown, shutdown <= bootTime else { return .onTime }
    return .shutdown
  }
}
