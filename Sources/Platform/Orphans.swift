import Glibc

/// Children that this process adopted rather than started.
///
/// If a process ends, the kernel gives its children to process 1 of the PID namespace, or to a subreaper
/// (PR_SET_CHILD_SUBREAPER of prctl(2), which outlives execve(2)). An agent can be either, in a container for example.
/// Each adopted child that ends stays a zombie until its new parent waits for it, and zombies use up the process numbers.
enum Orphans {
  // Set once, at the start of a process of one thread, before any program runs. Nothing else is written in a process that
  // doesn't enable it: tests run programs from several threads.
  private nonisolated(unsafe) static var isEnabled = false
  private nonisolated(unsafe) static var programs = 0

  /// Has ``waitForAll()`` wait for children from now on.
  static func enable() { unsafe isEnabled = true }

  /// A program runs whose exit status somebody else wants: no child is waited for here until ``programHasEnded()``.
  static func programStarts() {
    if unsafe isEnabled { unsafe programs += 1 }
  }

  /// A program was waited for.
  static func programHasEnded() {
    guard unsafe isEnabled else { return }
    unsafe programs -= 1
    waitForAll()
  }

  /// Waits for all children that have ended.
  static func waitForAll() {
    guard unsafe isEnabled && programs == 0 else { return }
    while waitpid(-1, nil, WNOHANG) > 0 {}
  }
}
