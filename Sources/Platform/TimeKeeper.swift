import CLinux
import Glibc

/// Who tells the time and lets it pass; an argument, so that a test can be in charge of it.
package protocol TimeKeeper {
  var wallTime: WallTime { get }
  var bootTime: BootTime { get }

  /// Waits until `instant`, or less if the process is asked to stop or the caller is needed for something else.
  func sleep(until instant: BootTime) -> Wake

  /// What ends a sleep early; a wait for a descriptor polls it beside its own. Nil where nothing does.
  var shutdownSignal: ShutdownSignal? { get }
}

/// Why a sleep ended.
package enum Wake: Sendable {
  case onTime
  case shutdown
  /// Something else needs the caller before the instant has come, such as a changed configuration.
  case interrupted
}

/// The system's clocks.
package struct SystemTime: TimeKeeper {
  package let shutdownSignal: ShutdownSignal?

  /// Keeps time; a sleep ends early when `shutdown` is requested.
  package init(shutdown: ShutdownSignal?) {
    shutdownSignal = shutdown
  }

  package var wallTime: WallTime { .now }
  package var bootTime: BootTime { .now }

  /// Sleeps by a clock on which time counts in which the machine was suspended, unlike with poll(2).
  package func sleep(until instant: BootTime) -> Wake {
    while true {
      if let shutdownSignal, shutdownSignal.isRequested { return .shutdown }
      if instant <= bootTime { return .onTime }
      do throws(Errno) {
        _ = try wait(for: -1, toBe: .readable, until: instant, or: shutdownSignal)
      } catch {
        // No timer to be had (descriptors used up): poll's own clock, which a suspend stops, in short pieces.
        let remaining = min(bootTime.duration(to: instant), .seconds(1))
        var signal = pollfd(fd: shutdownSignal?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&signal, 1, remaining.millisecondsForTimeout)
      }
    }
  }
}
