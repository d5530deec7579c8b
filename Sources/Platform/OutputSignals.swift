import CLinux
import Glibc

/// Makes failed writes return an error instead of ending the process.
///
/// The kernel sends SIGPIPE when the reader of a pipe or socket has gone (`EPIPE`), and SIGXFSZ when a file has reached
/// `RLIMIT_FSIZE` (`EFBIG`). Both get a handler that does nothing. They aren't ignored because programs that this process
/// starts, such as a shell pipeline that relies on SIGPIPE, would inherit that.
package func surviveFailedWrites() {
  var action = sigaction()
  unsafe action.__sigaction_handler.sa_handler = { _ in }
  action.sa_flags = SA_RESTART
  unsafe sigaction(SIGPIPE, &action, nil)
  unsafe sigaction(SIGXFSZ, &action, nil)
}
