/// Work that must continue while the process waits for something else, such as a ping that keeps a connection alive.
package protocol IdleTask: AnyObject {
  /// When the work is due next; nil if there is none. ``run(until:)`` must move this to a later time.
  var nextDue: BootTime? { get }

  /// The time from which the work may run before ``nextDue``, if the process is awake anyway; nil if it may not. It doesn't end
  /// a wait.
  var nextChance: BootTime? { get }

  /// A descriptor whose readability makes the work due at once; nil if there is none. ``run(until:)`` must read what has
  /// arrived on it.
  var descriptor: Int32? { get }

  /// Whether the work found something that the caller of the wait has to handle, so that the wait should end.
  var needsCaller: Bool { get }

  /// Does the work. The interrupted wait ends at `deadline`; work that can be postponed should end by then, too.
  func run(until deadline: BootTime)
}

extension IdleTask {
  package var nextChance: BootTime? { nil }
  package var descriptor: Int32? { nil }
  package var needsCaller: Bool { false }
}

/// A waiter that waits like another one, and runs each task when it is due.
///
/// A task that is due at the end of the wait or later runs in the next wait. The wait returns `Wake.message` if a task needs
/// the caller.
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
    // The process is awake and the caller has finished its work, so run the tasks that don't wake the process themselves.
    if shutdownSignal?.isRequested != true { runTasks(before: instant) }
    while true {
      if tasks.contains(where: \.needsCaller) { return .message }
      var next = instant
      for case let due? in tasks.map(\.nextDue) { next = min(next, due) }
      if next <= waiter.bootTime, next < instant, shutdownSignal?.isRequested != true {
        runTasks(before: instant)
        continue
      }
      switch waitForTask(until: next) {
      case .message: tasks.first { $0.descriptor != nil }?.run(until: instant)
      case .onTime:
        runTasks(before: instant)
        guard next < instant else { return .onTime }
      case let wake: return wake
      }
    }
  }

  /// Waits until `instant`; returns `Wake.message` if the descriptor of a task becomes readable first.
  private func waitForTask(until instant: BootTime) -> Wake {
    guard let descriptor = tasks.lazy.compactMap(\.descriptor).first else {
      return waiter.wait(until: instant)
    }
    do throws(Errno) {
      switch try waiter.wait(for: descriptor, toBe: .readable, until: instant, endsOnShutdown: true) {
      case .ready: return .message
      case .deadline: return .onTime
      case .shutdown: return .shutdown
      }
    } catch {
      // All descriptors of this process are in use. The next wait watches the descriptor again.
      return waiter.wait(until: instant)
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
