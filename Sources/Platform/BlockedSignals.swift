import Glibc

/// Calls `body` with all signals blocked in this thread, except those of a crash. A thread that `body` starts inherits that.
///
/// The handlers of the other signals then run on threads whose stack is large enough for them. If the signal of a fault were blocked, the kernel
/// would end the process without calling its handler (sigprocmask(2)), so a crash would leave no line in the log.
package func withSignalsBlocked<Value>(_ body: () -> Value) -> Value {
  var blocked = sigset_t()
  unsafe sigfillset(&blocked)
  for signal in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV] { unsafe sigdelset(&blocked, signal) }
  var before = sigset_t()
  unsafe pthread_sigmask(SIG_SETMASK, &blocked, &before)
  defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
  return body()
}
