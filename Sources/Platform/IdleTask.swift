/// Work that must not stop while the process waits for something else, such as a ping that keeps a connection alive.
package protocol IdleTask: AnyObject {
  /// When the work is due next; nil if there is none. ``run(until:)`` must move it on.
  var nextDue: BootTime? { get }

  /// Does the work. The wait that it interrupts ends at `deadline`, and so should work that can be put off.
  func run(until deadline: BootTime)
}

/// Waits like another waiter, and runs each task when it is due.
///
/// A task that is due when the wait ends, or later, is left to the next wait.
package struct TaskRunningWaiter: Waiter {
  private let waiter: any Waiter
  private let tasks: [any IdleTask]

  package init(_ waiter: any Waiter, running tasks: [any IdleTask]) {
    self.waiter = waiter
    self.tasks = tasks
  }

  package var wallTime: WallTime { waiter.wallTime }
  package var bootTime: BootTime { waiter.bootTime }
  package var shutdownSignal: ShutdownSignal? { waiter.shutdownSignal }

  package func wait(until instant: BootTime) -> Wake {
    while true {
      var next = instant
      for case let due? in tasks.map(\.nextDue) { next = min(next, due) }
      if next <= waiter.bootTime, next < instant, shutdownSignal?.isRequested != true {
        runTasks(before: instant)
        continue
      }
      let wake = waiter.wait(until: next)
      guard wake == .onTime else { return wake }
      runTasks(before: instant)
      guard next < instant else { return .onTime }
    }
  }

  package func wait(
    for descriptor: Int32, toBe readiness: Readiness, until deadline: BootTime, endsOnShutdown: Bool
  ) throws(Errno) -> ReadinessWake {
    try waiter.wait(for: descriptor, toBe: readiness, until: deadline, endsOnShutdown: endsOnShutdown)
  }

  private func runTasks(before instant: BootTime) {
    let now = waiter.bootTime
    for task in tasks {
      if let due = task.nextDue, due <= now, due < instant { task.run(until: instant) }
    }
  }
}
