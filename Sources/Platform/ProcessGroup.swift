import CLinux
import Glibc

/// Sends `signal` to a child process that was started as a process group leader, and to the members of its group.
///
/// A program may leave its group (setpgid(2)); a signal to the group alone would then miss it. The caller must not have
/// waited for the process yet: until then, the kernel can't reuse its process id.
package func send(_ signal: Int32, toGroupLedBy leader: Int32) {
  // A process receives signals that are sent to its group, and should receive a request to stop only once. SIGKILL is
  // sent to both, so that it also reaches a program that leaves the group between the two calls.
  if signal == SIGKILL || getpgid(leader) != leader { kill(leader, signal) }
  kill(-leader, signal)
}
