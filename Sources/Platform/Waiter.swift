import CLinux
import Glibc

/// Waits until an instant or an event.
///
/// An argument like ``TimeSource``: a test's waiter doesn't wait, it moves its own clock.
package protocol Waiter: TimeSource {
  /// Waits until `instant`. Returns earlier if the process is asked to stop, or if something else needs the caller.
  func wait(until instant: BootTime) -> Wake

  /// Waits until `descriptor` is ready or `deadline` has come, or with `endsOnShutdown` until the process is asked to stop.
  func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake

  /// What asks the process to stop, and so ends each wait early. Nil if nothing does.
  var shutdownSignal: ShutdownSignal? { get }
}

extension Waiter {
  /// Waits by the system's clock for as long as this waiter's own clock says is left until `deadline`.
  package func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    try Platform.wait(
      for: descriptor, toBe: readiness, until: .now.advanced(by: bootTime.duration(to: deadline)),
      or: endsOnShutdown ? shutdownSignal : nil)
  }
}

/// Why a wait ended.
package enum Wake: Sendable {
  case onTime
  case shutdown
  /// Something else needs the caller before the instant has come, such as a changed configuration.
  case interrupted
}

/// The system's clocks, and waits by them.
package struct SystemWaiter: Waiter {
  package let shutdownSignal: ShutdownSignal?

  /// A waiter whose waits end early when `shutdown` is requested.
  package init(shutdown: ShutdownSignal?) {
    shutdownSignal = shutdown
  }

  package var wallTime: WallTime { .now }
  package var bootTime: BootTime { .now }

  /// Waits by a clock that counts the time in which the machine is suspended, unlike the timeout of poll(2).
  package func wait(until instant: BootTime) -> Wake {
    while true {
      if let shutdownSignal, shutdownSignal.isRequested { return .shutdown }
      if instant <= bootTime { return .onTime }
      do throws(Errno) {
        _ = try Platform.wait(for: -1, toBe: .readable, until: instant, or: shutdownSignal)
      } catch {
        // No timer is available (descriptors used up). poll's own timeout stops while suspended, so wait in short pieces.
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
