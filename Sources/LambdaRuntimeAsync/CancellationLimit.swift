import CLinux
import Glibc
import LambdaRuntime
import Platform

/// Cancels the current task shortly before its deadline, or when the process is asked to stop.
///
/// A second thread cancels the task, because the task may block its own. The second thread sleeps until the deadline of one invocation. A later
/// invocation usually has a later deadline and doesn't wake the thread: when the alarm goes off, the thread looks at the current invocation, and
/// sleeps until its deadline. The thread starts with the first invocation, so it doesn't delay the start of the function.
final class CancellationLimit: @unchecked Sendable {
  private enum Reason {
    case deadline, stopRequest
  }

  private let lock = Lock()
  /// The task to cancel; nil between two tasks.
  private var task: Task<Void, Never>?
  /// When to cancel it; nil for no deadline.
  private var cancelsAt: BootTime?
  /// Why the last task was cancelled; nil if it wasn't.
  private var reason: Reason?
  private var isStopRequested = false
  /// When the thread wakes by itself; nil if it doesn't.
  private var alarm: BootTime?
  /// An eventfd(2), which wakes the thread; -1 before it starts.
  private var wakeUp: Int32 = -1
  private var isStarted = false
  /// Whether the thread ends, because there will be no more tasks.
  private var isStopped = false

  /// The time between the cancellation and the deadline, which must suffice for the response: Lambda ends the environment at the deadline.
  static func margin(of remaining: Duration) -> Duration { min(.milliseconds(100), remaining / 10) }

  /// Starts limiting `task`. A deadline that is already past isn't enforced, and doesn't limit it.
  func begin(_ task: Task<Void, Never>, until deadline: WallTime?, or shutdown: ShutdownSignal?) {
    if !isStarted { start(shutdown) }
    let remaining = deadline.map { WallTime.now.duration(to: $0) } ?? .zero
    let end = remaining > .zero ? BootTime.now.advanced(by: remaining - Self.margin(of: remaining)) : nil
    let (isEarlier, mustStop) = lock.withLock {
      self.task = task
      cancelsAt = end
      reason = isStopRequested ? .stopRequest : nil
      return (end.map { end in alarm.map { end < $0 } ?? true } ?? false, isStopRequested)
    }
    if isEarlier { wake() }
    if mustStop { task.cancel() }
  }

  /// Stops limiting the task, because it has ended.
  func end() {
    lock.withLock {
      task = nil
      cancelsAt = nil
    }
  }

  /// The failure of the last task if it was cancelled; nil otherwise.
  var failure: InvocationFailure? {
    switch lock.withLock({ reason }) {
    case .deadline:
      InvocationFailure(
        type: "Function.DeadlineExceeded", message: "The handler was cancelled because its deadline was near."
      )
    case .stopRequest:
      InvocationFailure(
        type: "Function.Stopped", message: "The handler was cancelled because the process was asked to stop.")
    case nil: nil
    }
  }

  private func cancelBecauseOfStopRequest() {
    let current = lock.withLock {
      isStopRequested = true
      if task != nil { reason = .stopRequest }
      return task
    }
    // Not while holding the lock: it calls the task's cancellation handlers.
    current?.cancel()
  }

  /// Ends the thread.
  func stop() {
    guard isStarted else { return }
    lock.withLock {
      isStopped = true
      // While holding the lock: as soon as the thread sees the flag, it closes the descriptor.
      wake()
    }
  }

  private func wake() {
    var one: UInt64 = 1
    // Fails only if the counter overflows, and then the thread is being woken anyway.
    _ = unsafe write(wakeUp, &one, MemoryLayout<UInt64>.size)
  }

  // MARK: The thread

  private func start(_ shutdown: ShutdownSignal?) {
    isStarted = true
    wakeUp = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    if let shutdown {
      // Only one of the threads can read the signal.
      let next = shutdown.whenReceived
      shutdown.whenReceived = { [self] in
        next?()
        cancelBecauseOfStopRequest()
      }
      if shutdown.isRequested { cancelBecauseOfStopRequest() }
    }
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let argument = UnsafeMutablePointer<(CancellationLimit, Int32)>.allocate(capacity: 1)
    // Released when the thread ends. On Lambda, it lives as long as the process.
    unsafe argument.initialize(to: (self, shutdown?.descriptor ?? -1))
    var thread = pthread_t()
    // Signals are blocked, so that the function's signal handlers run on its own threads. This fails only if there are too many threads, and then
    // tasks aren't cancelled.
    _ = withSignalsBlocked { unsafe pthread_create(&thread, &attributes, watch, argument) }
  }

  fileprivate func run(_ signals: Int32) {
    defer { close(wakeUp) }
    while !lock.withLock({ isStopped }) {
      var waits = (
        pollfd(fd: lock.withLock { isStopRequested } ? -1 : signals, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)
      )
      let timeout = cancelIfDue()
      unsafe withUnsafeMutablePointer(to: &waits) { pointer in
        unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) { _ = unsafe poll($0, 2, timeout) }
      }
      if waits.0.revents != 0 { cancelBecauseOfStopRequest() }
      if waits.1.revents != 0 {
        var count: UInt64 = 0
        _ = unsafe read(wakeUp, &count, MemoryLayout<UInt64>.size)
      }
    }
  }

  /// Cancels the current task if its time has come. Returns how long to wait afterwards, in milliseconds for poll(2).
  private func cancelIfDue() -> Int32 {
    let now = BootTime.now
    let (due, timeout): (Task<Void, Never>?, Int32) = lock.withLock {
      guard let task, let end = cancelsAt else {
        alarm = nil
        return (nil, -1)
      }
      guard end <= now else {
        alarm = end
        return (nil, now.duration(to: end).millisecondsForTimeout)
      }
      cancelsAt = nil
      alarm = nil
      reason = .deadline
      return (task, -1)
    }
    // This task and no later one, even if it has ended since.
    due?.cancel()
    return timeout
  }
}

private func watch(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument = unsafe argument else { return nil }
  let start = unsafe argument.assumingMemoryBound(to: (CancellationLimit, Int32).self)
  let (limit, signals) = unsafe start.move()
  unsafe start.deallocate()
  limit.run(signals)
  return nil
}
