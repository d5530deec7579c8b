import CLinux
import Glibc

/// The state of a descriptor that a caller waits for.
package enum Readiness: Sendable {
  case readable
  case writable
}

/// The reason why a wait for a descriptor ended.
package enum ReadinessWake: Sendable {
  /// The descriptor is ready, or it is broken and the next call on it returns the error.
  case ready
  case deadline
  case shutdown
}

/// Waits until `descriptor` is ready, `deadline` has come or the process is asked to stop.
///
/// A `descriptor` of -1 is never ready. A timerfd of `CLOCK_BOOTTIME` ends the poll(2), so that time in which the machine
/// is suspended counts.
package func wait(
  for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, or shutdown: ShutdownSignal?
) throws(Errno) -> ReadinessWake {
  if let shutdown, shutdown.isRequested { return .shutdown }
  let timer = FileDescriptor(
    owning: try retryingOnInterrupt { timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC)) })
  var setting = itimerspec()
  // A value of zero would disarm the timer; a time in the past makes it fire at once.
  let nanoseconds = max(1, deadline.nanosecondsSinceBoot)
  setting.it_value.tv_sec = Int(nanoseconds / 1_000_000_000)
  setting.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
  let absolute = Int32(TFD_TIMER_ABSTIME)
  _ = try retryingOnInterrupt { unsafe timerfd_settime(timer.rawValue, absolute, &setting, nil) }
  var waits = [
    pollfd(fd: shutdown?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
    pollfd(fd: descriptor, events: Int16(readiness == .readable ? POLLIN : POLLOUT), revents: 0),
    pollfd(fd: timer.rawValue, events: Int16(POLLIN), revents: 0),
  ]
  while true {
    _ = try retryingOnInterrupt { unsafe poll(&waits, nfds_t(waits.count), -1) }
    if let shutdown, shutdown.isRequested { return .shutdown }
    if waits[1].revents != 0 { return .ready }
    // Otherwise an orphan has ended or a SIGHUP arrived. Neither ends this wait.
    if waits[2].revents != 0 { return .deadline }
  }
}
