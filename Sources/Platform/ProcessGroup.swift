import CLinux
import Glibc

/// Sends `signal` to a child process that was started as the leader of a process group, and to what is in the group.
///
/// A program may leave its group (setpgid(2)), so that a signal to the group alone would miss it. The caller must not
/// have waited for the process yet: until then, its number can't become another's.
package func send(_ signal: Int32, toGroupLedBy leader: Int32) {
  // A process gets what is sent to its group, and should get a request to stop only once. SIGKILL
  // is sent to both, so it also reaches a program that leaves the group between the two calls.
  if signal == SIGKILL || getpgid(leader) != leader { kill(leader, signal) }
  kill(-leader, signal)
}
