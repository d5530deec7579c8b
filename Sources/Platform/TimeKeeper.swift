import CLinux
import Glibc

/// Who tells the time and lets it pass; an argument, so that a test can be in charge of it.
package protocol TimeKeeper {
  var wallTime: WallTime { get }
  var bootTime: BootTime { get }

  /// Waits until `instant`, or less where the process is asked to stop.
  func sleep(until instant: BootTime) -> Wake

  /// What ends a sleep early; a wait for a descriptor polls it beside its own. Nil where nothing does.
  var shutdownSignal: ShutdownSignal? { get }
}

/// Why a sleep ended.
package enum Wake: Sendable {
  case onTime
  case shutdown
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

  /// Sleeps on a timerfd of `CLOCK_BOOTTIME`: time in which the machine was suspended counts, unlike with poll(2).
  package func sleep(until instant: BootTime) -> Wake {
    while true {
      if let shutdownSignal, shutdownSignal.isRequested { return .shutdown }
      if instant <= bootTime { return .onTime }
      do throws(Errno) {
        try waitOnce(until: instant)
      } catch {
        // No timer to be had (descriptors used up): poll's own clock, which a suspend stops, in short pieces.
        let remaining = min(bootTime.duration(to: instant), .seconds(1))
        _ = wait(
          on: shutdownSignal?.descriptor ?? -1, and: -1, milliseconds: remaining.millisecondsForTimeout)
      }
    }
  }

  private func waitOnce(until instant: BootTime) throws(Errno) {
    let flags = Int32(TFD_CLOEXEC)
    let timer = FileDescriptor(
      owning: try retryingOnInterrupt { timerfd_create(CLOCK_BOOTTIME, flags) })
    var setting = itimerspec()
    setting.it_value.tv_sec = Int(instant.nanosecondsSinceBoot / 1_000_000_000)
    setting.it_value.tv_nsec = Int(instant.nanosecondsSinceBoot % 1_000_000_000)
    let absolute = Int32(TFD_TIMER_ABSTIME)
    _ = try retryingOnInterrupt { unsafe timerfd_settime(timer.rawValue, absolute, &setting, nil) }
    _ = wait(on: shutdownSignal?.descriptor ?? -1, and: timer.rawValue, milliseconds: -1)
  }

  /// Waits for either descriptor to become readable; poll(2) passes over negative ones.
  private func wait(on first: Int32, and second: Int32, milliseconds: Int32) -> Int32 {
    var waits = [
      pollfd(fd: first, events: Int16(POLLIN), revents: 0),
      pollfd(fd: second, events: Int16(POLLIN), revents: 0),
    ]
    return unsafe poll(&waits, nfds_t(waits.count), milliseconds)
  }
}
