/// Work that must continue while the process waits for something else, such as a ping that keeps a connection alive.
package protocol IdleTask: AnyObject {
  /// When the work is due next; nil if there is none. ``run(until:)`` must move this to a later time.
  var nextDue: BootTime? { get }

  /// From when on the work may run earlier, if the process is awake anyway; nil if only ``nextDue`` counts. It ends no wait.
  var nextChance: BootTime? { get }

  /// Does the work. The interrupted wait ends at `deadline`; work that can be postponed should end by then, too.
  func run(until deadline: BootTime)
}

extension IdleTask {
  package var nextChance: BootTime? { nil }
}

/// A waiter that waits like another one, and runs each task when it is due.
///
/// A task that is due at the end of the wait or later runs in the next wait.
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
    // What the caller does each time it is awake is done, so this is a chance for the tasks that wait for one.
    if shutdownSignal?.isRequested != true { runTasks(before: instant) }
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
      let isDue = task.nextDue.map { $0 <= now && $0 < instant } ?? false
      let hasChance = now < instant && task.nextChance.map { $0 <= now } ?? false
      if isDue || hasChance { task.run(until: instant) }
    }
  }
}
