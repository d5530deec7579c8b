import CDispatchMain
import CLinux
import Glibc
import LambdaRuntime
import Platform

/// Runs tasks on the thread that waits for their result.
///
/// The alternative, Swift's global executor, would hand each invocation to another thread and back, which costs more than the rest of a small
/// invocation. Here a task that never waits for another thread needs no system call.
///
/// If the thread is the main thread, it also serves the main queue, and with it the main actor, while it waits.
final class RuntimeThread: TaskExecutor, @unchecked Sendable {
  /// The runtime of the function that runs on this thread. A process on Lambda has only one; tests have several at the same time.
  static var current: RuntimeThread {
    get {
      if let runtime = unsafe pthread_getspecific(key) {
        return unsafe Unmanaged<RuntimeThread>.fromOpaque(runtime).takeUnretainedValue()
      }
      let runtime = RuntimeThread(nil)
      Self.current = runtime
      return runtime
    }
    set {
      let previous = unsafe pthread_getspecific(key)
      // Fails only if there is no memory for a pointer.
      _ = unsafe pthread_setspecific(key, Unmanaged.passRetained(newValue).toOpaque())
      if let previous = unsafe previous { unsafe Unmanaged<RuntimeThread>.fromOpaque(previous).release() }
    }
  }
  /// The key of the thread's pointer to its runtime, which is released when the thread ends.
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    // Fails only if the process has 1,024 keys.
    _ = unsafe pthread_key_create(&key) { runtime in
      if let runtime = unsafe runtime { unsafe Unmanaged<RuntimeThread>.fromOpaque(runtime).release() }
    }
    return key
  }()

  /// The stop request of the process; nil if there is none.
  private let shutdown: ShutdownSignal?
  /// The deadline of the current invocation; nil if it isn't enforced.
  var deadline: WallTime?
  /// The context of the current invocation.
  var context: Context?
  private let limit = CancellationLimit()

  private let lock = Lock()
  private var queue: [UnownedJob] = []
  private var isWaiting = false
  /// The jobs that are running, or will run before the next look at ``queue``. Used by this thread only.
  private var batch: [UnownedJob] = []
  /// An eventfd(2), which wakes this thread; -1 before its first wait.
  private var wakeUp: Int32 = -1
  /// The eventfd of the main queue; nil if this isn't the main thread, -1 before the first wait.
  private var mainQueue: Int32? = -1
  private var batches = 0

  init(_ shutdown: ShutdownSignal?) {
    self.shutdown = shutdown
  }

  deinit {
    limit.stop()
    if wakeUp >= 0 { close(wakeUp) }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    lock.withLock {
      queue.append(job)
      guard isWaiting else { return }
      var one: UInt64 = 1
      // While holding the lock: the runtime must take it before it can run the job, end and close the descriptor.
      // Fails only if the counter overflows, and then the thread is being woken anyway.
      _ = unsafe write(wakeUp, &one, MemoryLayout<UInt64>.size)
    }
  }

  /// Runs `operation` as a task of the current invocation, which is cancelled at its deadline or when the process is asked to stop.
  func runUntilDeadline<Value>(_ operation: @escaping () async throws -> Value) throws -> Value {
    let context = context
    do {
      return try run(until: deadline, or: shutdown) {
        try await Context.$current.withValue(context, operation: operation)
      }
    } catch is CancellationError {
      throw limit.failure ?? CancellationError()
    }
  }

  /// Runs `operation` as a task that nothing cancels.
  func run<Value>(_ operation: @escaping () async throws -> Value) throws -> Value {
    try run(until: nil, or: nil, operation)
  }

  private func run<Value>(
    until deadline: WallTime?, or shutdown: ShutdownSignal?, _ operation: @escaping () async throws -> Value
  ) throws -> Value {
    // The thread doesn't continue before the task has ended, so the operation isn't used concurrently.
    let work = Work(operation)
    let task = Task(executorPreference: self) { await work.perform() }
    let isLimited = deadline != nil || shutdown != nil
    if isLimited { limit.begin(task, until: deadline, or: shutdown) }
    defer { if isLimited { limit.end() } }
    while true {
      let hasRun = runBatch()
      // Other tasks of this thread may always have a next job. They continue with the next operation.
      if let result = work.result { return try result.get() }
      if !hasRun { wait() }
    }
  }

  /// Runs the jobs that are in the queue now. Returns false if there are none.
  private func runBatch() -> Bool {
    lock.withLock { swap(&queue, &batch) }
    if batch.isEmpty { return false }
    for job in batch { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    batch.removeAll(keepingCapacity: true)
    batches &+= 1
    // A task that only yields until the main actor has done something would otherwise starve it.
    if batches & 63 == 0 { serveMainQueue(within: 0) }
    return true
  }

  /// Waits until there is a job.
  private func wait() {
    if wakeUp < 0 { prepareToWait() }
    let isEmpty = lock.withLock {
      isWaiting = queue.isEmpty
      return isWaiting
    }
    guard isEmpty else { return }
    serveMainQueue(within: -1)
    lock.withLock { isWaiting = false }
  }

  private func prepareToWait() {
    // Without a descriptor, waits are short instead.
    let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    lock.withLock { wakeUp = descriptor }
  }

  /// Waits for a job of this executor or of the main queue, and runs those of the main queue.
  private func serveMainQueue(within milliseconds: Int32) {
    if mainQueue == -1 {
      mainQueue = clinux_is_main_thread() != 0 ? cdispatch_main_queue_descriptor() : nil
    }
    var waits = (
      pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0),
      pollfd(fd: mainQueue ?? -1, events: Int16(POLLIN), revents: 0)
    )
    unsafe withUnsafeMutablePointer(to: &waits) { pointer in
      unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) {
        _ = unsafe poll($0, 2, wakeUp < 0 && milliseconds < 0 ? 1 : milliseconds)
      }
    }
    if waits.0.revents != 0 { clear(wakeUp) }
    guard waits.1.revents != 0, let mainQueue else { return }
    clear(mainQueue)
    cdispatch_serve_main_queue()
  }

  private func clear(_ descriptor: Int32) {
    var count: UInt64 = 0
    _ = unsafe read(descriptor, &count, MemoryLayout<UInt64>.size)
  }
}

/// An operation and its result. Written by one task, and read when that has ended.
private final class Work<Value>: @unchecked Sendable {
  private let operation: () async throws -> Value
  private(set) var result: Result<Value, any Error>?

  init(_ operation: @escaping () async throws -> Value) {
    self.operation = operation
  }

  func perform() async {
    do {
      result = .success(try await operation())
    } catch {
      result = .failure(error)
    }
  }
}
