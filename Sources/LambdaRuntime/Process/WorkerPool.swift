import CLinux
import Glibc
import Platform

/// The worker processes of an environment that handles several invocations at once (Lambda Managed Instances,
/// `AWS_LAMBDA_MAX_CONCURRENCY`). Each worker creates its own function and polls for its own events.
///
/// Processes rather than threads, so that a handler works the same everywhere: one value, one invocation at a time, no locks,
/// the trace in an environment variable, and a trap that ends a single invocation. The price is more memory, and that handlers
/// can't share state between workers.
struct WorkerPool {
  /// The maximum number of workers, which is also the most invocations that Lambda gives to one environment.
  static let maximum = 1_600

  private let count: Int
  private let api: RuntimeAPI
  private let log: Log
  private let shutdown: ShutdownSignal

  init(count: Int, api: RuntimeAPI, log: Log, shutdown: ShutdownSignal) {
    self.count = count
    self.api = api
    self.log = log
    self.shutdown = shutdown
  }

  /// Runs `work` in each worker, and replaces a worker that traps during an invocation.
  ///
  /// Returns when the process has been asked to stop and all workers have ended.
  func run(_ work: (InvocationMark) throws(RuntimeAPIError) -> Void) throws(RuntimeAPIError) {
    // If SIGCHLD were ignored, waitpid(2) could not report how a worker ended.
    stopIgnoringChildren()
    var workers: [Worker] = []
    log.sharesPipe = true
    do throws(RuntimeAPIError) {
      for _ in 0..<count { try startWorker(beside: &workers, work) }
      while let ended = wait(for: workers) {
        // Removed before the fork, so that the next worker doesn't inherit its descriptor.
        try see(workers.remove(at: ended))
        try startWorker(beside: &workers, work)
      }
    } catch {
      end(workers)
      throw error
    }
    end(workers)
  }

  /// One child process.
  private final class Worker {
    let process: pid_t
    /// A pidfd, which becomes readable when the process ends.
    let descriptor: FileDescriptor
    let mark: InvocationMark

    init(process: pid_t, descriptor: consuming FileDescriptor, mark: InvocationMark) {
      self.process = process
      self.descriptor = descriptor
      self.mark = mark
    }
  }

  private func startWorker(
    beside workers: inout [Worker], _ work: (InvocationMark) throws(RuntimeAPIError) -> Void
  ) throws(RuntimeAPIError) {
    let parent = getpid()
    do throws(Errno) {
      let mark = try InvocationMark()
      let process = try retryingOnInterrupt { clinux_fork() }
      if process == 0 {
        // Release the parent's pidfds and marks.
        workers.removeAll()
        serveAsWorker(of: parent, mark, work)
      }
      let descriptor = try retryingOnInterrupt { clinux_pidfd_open(process, 0) }
      workers.append(Worker(process: process, descriptor: FileDescriptor(owning: descriptor), mark: mark))
    } catch {
      throw .workersLost(reason: "can't start a worker: \(error)")
    }
  }

  /// The main function of a worker process.
  private func serveAsWorker(
    of parent: pid_t, _ mark: InvocationMark, _ work: (InvocationMark) throws(RuntimeAPIError) -> Void
  ) -> Never {
    // If the parent is killed, it can't stop its workers; the kernel does so instead.
    _ = clinux_set_parent_death_signal(SIGTERM)
    if getppid() != parent { exit(0) }
    // The inherited connection belongs to the parent.
    api.connection.close()
    do throws(RuntimeAPIError) {
      try work(mark)
    } catch {
      exit(reporting: error, to: log)
    }
    exit(0)
  }

  /// Waits until a worker ends and returns its index; nil if the process was asked to stop first.
  private func wait(for workers: [Worker]) -> Int? {
    var waits = [pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0)]
    waits += workers.map { pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0) }
    while true {
      // The only possible errors are EINTR and ENOMEM, and for both the remedy is to call again.
      _ = unsafe poll(&waits, nfds_t(waits.count), 1_000)
      if shutdown.isRequested { return nil }
      if let index = waits.dropFirst().firstIndex(where: { $0.revents != 0 }) { return index - 1 }
    }
  }

  /// Reports the invocation of a worker that was killed by a signal. Throws if the pool can't continue.
  private func see(_ worker: Worker) throws(RuntimeAPIError) {
    let status = waitForStatus(of: worker)
    let signal = status & 0x7F
    guard signal != 0 else {
      throw .workersLost(reason: "a worker exited with status \(status >> 8 & 0xFF)")
    }
    let words = "signal \(signal) ended a worker"
    guard let ids = worker.mark.ids else {
      // The worker died during initialisation or between two invocations. A replacement would die in the same way.
      throw .workersLost(reason: "\(words) outside of an invocation")
    }
    log.requestID = ids.requestID
    log.error("Signal \(signal) ended the worker that handled this invocation. Starting another worker.")
    // Lambda doesn't notice that the worker is gone and would wait for the response until the deadline.
    api.reportLostInvocation(
      ids,
      InvocationFailure(type: "Runtime.ExitError", message: "RequestId: \(ids.requestID) Error: \(words)"))
    log.requestID = nil
  }

  private func waitForStatus(of worker: Worker) -> Int32 {
    var status: Int32 = 0
    // This can only fail with EINTR, because the child exists and nothing else waits for it.
    while unsafe waitpid(worker.process, &status, 0) < 0, errno == EINTR {}
    return status
  }

  /// Asks the workers to stop, and kills those that exceed the time limit of a single process by one second.
  private func end(_ workers: [Worker]) {
    for worker in workers { _ = kill(worker.process, SIGTERM) }
    let deadline = BootTime.now.advanced(by: StopLimit.limit + .seconds(1))
    for worker in workers {
      var wait = pollfd(fd: worker.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      while wait.revents == 0, deadline > .now {
        _ = unsafe poll(&wait, 1, BootTime.now.duration(to: deadline).millisecondsForTimeout)
      }
      if wait.revents == 0 { _ = kill(worker.process, SIGKILL) }
      _ = waitForStatus(of: worker)
    }
  }
}
