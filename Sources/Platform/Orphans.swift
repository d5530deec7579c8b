import Glibc

/// Waits for children that this process adopted rather than started.
///
/// When a process ends, the kernel reparents its children to process 1 of the PID namespace, or to a subreaper
/// (PR_SET_CHILD_SUBREAPER of prctl(2), which survives execve(2)). An agent can be either, for example in a container. An
/// adopted child that has ended stays a zombie until its new parent waits for it, and zombies use up process ids.
enum Orphans {
  // Set once, at the start of a single-threaded process, before it runs any program. A process that doesn't enable it
  // never writes these variables: tests run programs from several threads.
  private nonisolated(unsafe) static var isEnabled = false
  private nonisolated(unsafe) static var programs = 0

  /// Makes ``waitForAll()`` wait for children from now on.
  static func enable() { unsafe isEnabled = true }

  /// Records the start of a program whose exit status its caller needs. ``waitForAll()`` does nothing until
  /// ``programHasEnded()``.
  static func programStarts() {
    if unsafe isEnabled { unsafe programs += 1 }
  }

  /// Records that the caller has waited for a program.
  static func programHasEnded() {
    guard unsafe isEnabled else { return }
    unsafe programs -= 1
    waitForAll()
  }

  /// Waits for all children that have ended, unless a program is running.
  static func waitForAll() {
    guard unsafe isEnabled && programs == 0 else { return }
    while waitpid(-1, nil, WNOHANG) > 0 {}
  }
}
