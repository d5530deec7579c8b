import CLinux
import Glibc

/// Resets inherited process state that would break the program; call it at the beginning of `main`.
///
/// docs/agent.md lists what is reset and what stays. Call ``becomeDaemon(stoppedBy:)`` as well in a program that runs
/// until it is stopped.
package func resetInheritedState() {
  occupyStandardDescriptors()
  resetInheritedSignals()
}

/// Unblocks all signals, and gives ignored ones their default disposition.
///
/// If SIGCHLD stayed ignored, the kernel would discard the exit status of each program that this process runs
/// (waitid(2), ECHILD).
private func resetInheritedSignals() {
  var kept = sigset_t()
  unsafe sigemptyset(&kept)
  // nohup(1) ignores SIGHUP, and a shell script SIGQUIT for its background jobs. Without the job-control signals a
  // program goes on in the background. An ignored SIGPIPE or SIGXFSZ makes write(2) fail instead of ending the process.
  for signal in [SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ] {
    unsafe sigaddset(&kept, signal)
  }
  unsafe clinux_stop_ignoring_signals(&kept)
  var none = sigset_t()
  unsafe sigemptyset(&none)
  _ = unsafe sigprocmask(SIG_SETMASK, &none, nil)
}

/// Gives SIGCHLD its default disposition if it is ignored, so that wait(2) reports how a child ended.
package func stopIgnoringChildren() {
  var kept = sigset_t()
  unsafe sigfillset(&kept)
  unsafe sigdelset(&kept, SIGCHLD)
  unsafe clinux_stop_ignoring_signals(&kept)
}

/// Prepares a process of one thread for running until it is stopped, for months: an agent or a component.
///
/// - It waits for the orphans that it adopts; see ``Orphans``.
/// - Writing the log to its terminal from the background never stops it, also with `stty tostop` (SIGTTOU).
/// - Nobody but its user can change the files that it and the programs that it runs create, and its user can read and
///   write them (umask(2)).
package func becomeDaemon(stoppedBy shutdown: ShutdownSignal) throws(Errno) {
  clinux_ignore_signal(SIGTTOU)
  let inherited = umask(0o077)
  umask(inherited & 0o077 | 0o022)
  try shutdown.waitForOrphans()
}
