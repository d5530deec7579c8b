import CLinux
import Glibc

/// Makes failed writes return an error instead of ending the process.
///
/// SIGPIPE comes when the reader of a pipe or socket has gone (`EPIPE`), SIGXFSZ when a file has reached `RLIMIT_FSIZE`
/// (`EFBIG`). Both get a handler that does nothing. Ignored signals would stay ignored in programs that this process
/// starts, such as a shell's pipeline that counts on SIGPIPE.
package func surviveFailedWrites() {
  var action = sigaction()
  unsafe action.__sigaction_handler.sa_handler = { _ in }
  action.sa_flags = SA_RESTART
  unsafe sigaction(SIGPIPE, &action, nil)
  unsafe sigaction(SIGXFSZ, &action, nil)
}
