import CLinux
import Glibc

/// Waits until an instant or an event.
///
/// Passed as an argument like ``TimeSource``: a test's waiter moves its own clock instead of waiting.
package protocol Waiter: TimeSource {
  /// Waits until `instant`. Returns earlier if the process is asked to stop, or if something else needs the caller.
  func wait(until instant: BootTime) -> Wake

  /// Waits until `descriptor` is ready or `deadline` has come or, with `endsOnShutdown`, until the process is asked to
  /// stop.
  func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake

  /// The signal that asks the process to stop, and so ends each wait early; nil if there is none.
  var shutdownSignal: ShutdownSignal? { get }
}

extension Waiter {
  /// Waits by the system's clock for the time that is left until `deadline` by this waiter's clock.
  package func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    try Platform.wait(
      for: descriptor, toBe: readiness, until: .now.advanced(by: bootTime.duration(to: deadline)),
      or: endsOnShutdown ? shutdownSignal : nil)
  }
}

/// The reason why a wait ended.
package enum Wake: Sendable {
  case onTime
  case shutdown
  /// Something else needs the caller before the instant has come, such as a configuration change.
  case interrupted
  /// A message for the caller has arrived before the instant has come.
  case message
}

/// A waiter that uses the system's clocks.
package struct SystemWaiter: Waiter {
  package let shutdownSignal: ShutdownSignal?

  /// Creates a waiter whose waits end early when `shutdown` is requested.
  package init(shutdown: ShutdownSignal?) {
    shutdownSignal = shutdown
  }

  package var wallTime: WallTime { .now }
  package var bootTime: BootTime { .now }

  /// Waits by a clock that, unlike the timeout of poll(2), includes the time in which the machine is suspended.
  package func wait(until instant: BootTime) -> Wake {
    while true {
      if let shutdownSignal, shutdownSignal.isRequested { return .shutdown }
      if instant <= bootTime { return .onTime }
      do throws(Errno) {
        _ = try Platform.wait(for: -1, toBe: .readable, until: instant, or: shutdownSignal)
      } catch {
        // No timer is available (all descriptors are in use). The timeout of poll(2) stops while the machine is
        // suspended, so wait in short pieces.
        let remaining = min(bootTime.duration(to: instant), .seconds(1))
        var signal = pollfd(fd: shutdownSignal?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&signal, 1, remaining.millisecondsForTimeout)
      }
    }
  }

  package func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    try Platform.wait(
      for: descriptor, toBe: readiness, until: deadline, or: endsOnShutdown ? shutdownSignal : nil)
  }
}
