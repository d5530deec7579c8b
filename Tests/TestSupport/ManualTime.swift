package import Platform

/// A clock that advances only when the code under test sleeps or the test advances it.
package final class ManualTime: Waiter {
  package var wallTime: WallTime
  package var bootTime: BootTime
  /// The duration of each sleep.
  package private(set) var sleeps: [Duration] = []
  /// The times until which the code under test slept.
  package private(set) var wakeUps: [BootTime] = []
  /// The time of the stop request.
  package var shutdown: BootTime?
  /// The moment at which something else needs the caller.
  package var interruption: BootTime?
  /// The moments at which messages for the caller arrive, in order.
  package var messages: [BootTime] = []
  package var shutdownSignal: ShutdownSignal? { nil }

  package init(wallTime: WallTime = WallTime(secondsSinceEpoch: 1_714_566_896)) {
    self.wallTime = wallTime
    bootTime = BootTime(nanosecondsSinceBoot: 1_000_000_000_000)
  }

  package func wait(until instant: BootTime) -> Wake {
    wakeUps.append(instant)
    let end = min(
      instant, shutdown ?? instant, interruption ?? instant, messages.first ?? instant)
    let duration = max(.zero, bootTime.duration(to: end))
    sleeps.append(duration)
    advance(by: duration)
    if let shutdown, shutdown <= bootTime { return .shutdown }
    if let interruption, interruption <= bootTime { return .interrupted }
    guard let message = messages.first, message <= end else { return .onTime }
    messages.removeFirst()
    return .message
  }

  /// Waits for real, and moves the clock to `deadline` if the descriptor isn't ready by then.
  package func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    let left = max(.zero, bootTime.duration(to: deadline))
    let wake = try Platform.wait(
      for: descriptor, toBe: readiness, until: .now.advanced(by: left), or: nil)
    if wake == .deadline { advance(by: left) }
    return wake
  }

  package func advance(by duration: Duration) {
    wallTime = wallTime.advanced(by: duration)
    bootTime = bootTime.advanced(by: duration)
  }
}
