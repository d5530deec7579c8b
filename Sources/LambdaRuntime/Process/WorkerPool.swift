import CLinux
import Glibc
import Platform

/// The worker processes of an environment that serves several invocations at once (Lambda Managed Instances,
/// `AWS_LAMBDA_MAX_CONCURRENCY`): each makes a function of its own and polls for itself.
///
/// Processes rather than threads, so that a handler is the same everywhere: one value, one invocation at a time, no locks,
/// an environment variable for the trace, a trap that ends one invocation and not its neighbours. The price is the
/// memory that each worker doesn't share, and a handler that can't share what it keeps between invocations.
struct WorkerPool {
  /// More than any instance has room for, fewer than would bring one down.
  static let maximum = 1_024

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

  /// Runs `work` in each worker, and puts a new worker in the place of one that trapped while it served.
  ///
  /// Returns when the process was asked to stop and all workers have ended.
  func run(_ work: (InvocationMark) throws(RuntimeAPIError) -> Void) throws(RuntimeAPIError) {
    // Otherwise nobody would learn how a worker ended.
    stopIgnoringChildren()
    var workers: [Worker] = []
    log.sharesPipe = true
    do throws(RuntimeAPIError) {
      for _ in 0..<count { try startWorker(beside: &workers, work) }
      while let ended = wait(for: workers) {
        // Let go of before the fork, for the next worker is a copy of this process.
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
    /// Readable when the process has ended.
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
        // What the parent knows its workers by is the parent's: descriptors, and the marks.
        workers.removeAll()
        serveAsWorker(of: parent, mark, work)
      }
      let descriptor = try retryingOnInterrupt { clinux_pidfd_open(process, 0) }
      workers.append(Worker(process: process, descriptor: FileDescriptor(owning: descriptor), mark: mark))
    } catch {
      throw .workersLost(reason: "a process could not be started: \(error)")
    }
  }

  /// What a worker does from its first moment to its last.
  private func serveAsWorker(
    of parent: pid_t, _ mark: InvocationMark, _ work: (InvocationMark) throws(RuntimeAPIError) -> Void
  ) -> Never {
    // A parent that is killed can't end its workers any more.
    _ = clinux_set_parent_death_signal(SIGTERM)
    if getppid() != parent { exit(0) }
    // What the parent had open is the parent's.
    api.connection.close()
    do throws(RuntimeAPIError) {
      try work(mark)
    } catch {
      exit(reporting: error, to: log)
    }
    exit(0)
  }

  /// The index of the worker that ended; nil where the process was asked to stop before.
  private func wait(for workers: [Worker]) -> Int? {
    var waits = [pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0)]
    waits += workers.map { pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0) }
    while true {
      // Interrupted or out of memory, there is nothing to do but to ask again.
      _ = unsafe poll(&waits, nfds_t(waits.count), 1_000)
      if shutdown.isRequested { return nil }
      if let index = waits.dropFirst().firstIndex(where: { $0.revents != 0 }) { return index - 1 }
    }
  }

  /// Finds out how a worker ended, and throws where that is the end of all.
  private func see(_ worker: Worker) throws(RuntimeAPIError) {
    let status = waitForStatus(of: worker)
    let signal = status & 0x7F
    guard signal != 0 else {
      throw .workersLost(reason: "one exited with status \(status >> 8 & 0xFF)")
    }
    let words = "a worker was ended by signal \(signal)"
    guard let requestID = worker.mark.requestID else {
      // Before its first invocation, or between two: the next one would fare no better.
      throw .workersLost(reason: words)
    }
    log.requestID = requestID
    log.error("\(words) while it served this invocation; another one takes its place")
    // Lambda doesn't see that the process behind a connection has gone, and would wait for the answer until its deadline.
    api.reportLostInvocation(
      requestID,
      InvocationFailure(type: "Runtime.ExitError", message: "RequestId: \(requestID) Error: \(words)"))
    log.requestID = nil
  }

  private func waitForStatus(of worker: Worker) -> Int32 {
    var status: Int32 = 0
    // A child of ours that has not been waited for: the call has no way to fail.
    while unsafe waitpid(worker.process, &status, 0) < 0, errno == EINTR {}
    return status
  }

  /// Asks the workers to stop; they have the time that a process has by itself, and a second more.
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
