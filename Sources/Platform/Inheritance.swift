import CLinux
import Glibc

/// Resets inherited process state that would break the program. Call it at the beginning of `main`.
///
/// docs/agent.md lists what is reset and what is kept. A program that runs until it is stopped also calls
/// ``becomeDaemon(stoppedBy:)``.
package func resetInheritedState() {
  occupyStandardDescriptors()
  resetInheritedSignals()
}

/// Unblocks all signals, and resets ignored ones to their default disposition, except those in `kept`.
///
/// If SIGCHLD stayed ignored, the kernel would discard the exit status of each program that this process runs (waitid(2),
/// ECHILD).
private func resetInheritedSignals() {
  var kept = sigset_t()
  unsafe sigemptyset(&kept)
  // These signals stay ignored. nohup(1) ignores SIGHUP, and a shell script ignores SIGQUIT for its background jobs. With
  // the job-control signals ignored, a program continues in the background. With SIGPIPE or SIGXFSZ ignored, write(2)
  // fails instead of ending the process.
  for signal in [SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ] {
    unsafe sigaddset(&kept, signal)
  }
  unsafe clinux_stop_ignoring_signals(&kept)
  var none = sigset_t()
  unsafe sigemptyset(&none)
  _ = unsafe sigprocmask(SIG_SETMASK, &none, nil)
}

/// Resets SIGCHLD to its default disposition if it is ignored, so that wait(2) reports how a child ended.
package func stopIgnoringChildren() {
  var kept = sigset_t()
  unsafe sigfillset(&kept)
  unsafe sigdelset(&kept, SIGCHLD)
  unsafe clinux_stop_ignoring_signals(&kept)
}

/// Prepares a single-threaded process that runs until it is stopped, possibly for months: an agent or a component.
///
/// - It waits for the orphans that it adopts; see ``Orphans``.
/// - Logging to its terminal from the background never stops it, even with `stty tostop` (SIGTTOU).
/// - Only its user can change the files that it and its programs create, and its user can read and write them (umask(2)).
package func becomeDaemon(stoppedBy shutdown: ShutdownSignal) throws(Errno) {
  clinux_ignore_signal(SIGTTOU)
  let inherited = umask(0o077)
  umask(inherited & 0o077 | 0o022)
  try shutdown.waitForOrphans()
}
