import CLinux
import Glibc
import NIOPosix
import Platform
import Synchronization

/// A child process in its own process group.
///
/// The child never outlives this process, even if this process is killed: the kernel kills the child when the thread that
/// started it ends, and that thread does nothing but watch the child. The child's own children are killed with its group.
/// Secrets are passed in the environment, which only this user can read, and never as arguments, which are visible to everybody.
package final class ChildProcess: Sendable {
  /// The capacity of a pipe in bytes (pipe(7)). One read of this size returns everything written before it.
  private static let pipeCapacity = 65_536

  package let processID: Int32
  private let thread: NIOThreadPool
  /// Standard output and standard error of the process, in one pipe to preserve their order.
  private let output: FileDescriptor
  /// A pidfd, which becomes readable when the process ends (pidfd_open(2)).
  private let exitNotice: FileDescriptor
  /// An eventfd, which is readable while a caller waits for the output so far (eventfd(2)).
  private let outputRequest: FileDescriptor
  private let state = Mutex(State())

  private struct State {
    var isReaped = false
    var isOver = false
    var waitingForOutput: [CheckedContinuation<Void, Never>] = []
  }

  /// Starts `program` in the current directory, with only the variables in `environment` and with /dev/null as standard input.
  ///
  /// Call ``wait(onLine:)`` afterwards, because that reaps the process.
  package static func start(
    _ program: String, arguments: [String] = [], environment: [String: String]
  ) async throws(LaunchError) -> ChildProcess {
    let thread = NIOThreadPool(numberOfThreads: 1)
    thread.start()
    let process = try? await thread.runIfActive {
      Result { () throws(Errno) in try ChildProcess(program, arguments, environment, on: thread) }
    }
    // There is no result if this task was cancelled first.
    switch process ?? .failure(Errno(rawValue: ECANCELED)) {
    case .success(let process): return process
    case .failure(let reason):
      // Can't fail: the pool is active.
      try? await thread.shutdownGracefully()
      throw LaunchError(program: program, reason: reason)
    }
  }

  private init(
    _ program: String, _ arguments: [String], _ environment: [String: String], on thread: NIOThreadPool
  ) throws(Errno) {
    self.thread = thread
    var ends: [Int32] = [-1, -1]
    _ = try retryingOnInterrupt { unsafe clinux_pipe(&ends, O_CLOEXEC) }
    output = FileDescriptor(owning: ends[0])
    let writing = FileDescriptor(owning: ends[1])
    // Set O_NONBLOCK only on the reading end, because the program inherits the writing end.
    let reading = ends[0]
    _ = try retryingOnInterrupt { clinux_set_nonblocking(reading) }
    outputRequest = FileDescriptor(
      owning: try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
    let processID = try startProgram(program, arguments, environment, output: writing.rawValue)
    self.processID = processID
    do throws(Errno) {
      exitNotice = FileDescriptor(owning: try retryingOnInterrupt { clinux_pidfd_open(processID, 0) })
    } catch {
      // Without a pidfd the process can't be watched, so end it rather than leak it.
      Platform.send(SIGKILL, toGroupLedBy: processID)
      _ = waitpid(processID, nil, 0)
      throw error
    }
  }

  /// Sends `signal` to the process group. Does nothing if the process has ended.
  package func send(_ signal: Int32) {
    state.withLock { state in
      // The process ID can't be reused before the process is reaped.
      if !state.isReaped { Platform.send(signal, toGroupLedBy: processID) }
    }
  }

  /// Whether the process has ended, even if ``wait(onLine:)`` has not returned yet.
  package var hasEnded: Bool {
    var wait = pollfd(fd: exitNotice.rawValue, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, 0) > 0
  }

  /// The peak resident memory of the process, in bytes; nil if it has ended.
  ///
  /// Reads `VmHWM` in `/proc/<pid>/status`. `ru_maxrss` would include the memory of this process at the time of the fork.
  package var peakMemory: Int? {
    guard let status = try? readFile("/proc/\(processID)/status", limit: 1 << 20) else {
      // The process has ended and been reaped.
      return nil
    }
    for line in String(decoding: status, as: UTF8.self).split(separator: "\n") where line.hasPrefix("VmHWM:")
    {
      let columns = line.split { $0 == " " || $0 == "\t" }
      guard columns.count == 3, columns[2] == "kB", let kilobytes = Int(columns[1]) else { return nil }
      return kilobytes.multipliedReportingOverflow(by: 1_024).partialValue
    }
    return nil
  }

  /// Waits until the process ends, and passes each line of its output to `onLine`.
  ///
  /// Call this exactly once, directly after `start`.
  package func wait(onLine: @escaping @Sendable (String) -> Void) async -> ProcessStatus {
    // In a separate task, so that the process is watched to its end even if the caller is cancelled.
    await Task {
      // Can't fail: the pool is active and the closure doesn't throw.
      let status = try? await thread.runIfActive { self.watch(LineSplitter(onLine)) }
      try? await thread.shutdownGracefully()
      return status ?? .code(-1)
    }.value
  }

  /// Waits until everything that the process has written so far has been passed to `onLine`.
  func outputSoFar() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.isOver { state.waitingForOutput.append(continuation) }
        return state.isOver
      }
      if isOver { return continuation.resume() }
      var one: UInt64 = 1
      // Fails only if the eventfd's 64-bit counter overflows.
      _ = unsafe write(outputRequest.rawValue, &one, MemoryLayout.size(ofValue: one))
    }
  }

  // MARK: On the thread that started the process

  private func watch(_ lines: consuming LineSplitter) -> ProcessStatus {
    var isOutputOpen = true
    while true {
      var waits = [
        pollfd(fd: exitNotice.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: outputRequest.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: isOutputOpen ? output.rawValue : -1, events: Int16(POLLIN), revents: 0),
      ]
      let ready = unsafe poll(&waits, nfds_t(waits.count), -1)
      // With valid descriptors and no timeout, poll fails only if a signal interrupts it.
      if ready <= 0 { continue }
      let isRequested = waits[1].revents != 0
      let waiting = isRequested ? takeRequests() : []
      // Read only once per iteration, so that a process that writes constantly can't hide its own end.
      if isRequested || waits[2].revents != 0 { isOutputOpen = handOver(&lines) }
      for continuation in waiting { continuation.resume() }
      if waits[0].revents != 0 { break }
    }
    let status = reap()
    // The group is dead, so one read returns the rest of the output.
    if isOutputOpen { _ = handOver(&lines) }
    lines.finish()
    let waiting = state.withLock { state in
      state.isOver = true
      return state.waitingForOutput
    }
    for continuation in waiting { continuation.resume() }
    return status
  }

  private func takeRequests() -> [CheckedContinuation<Void, Never>] {
    var count: UInt64 = 0
    _ = unsafe read(outputRequest.rawValue, &count, MemoryLayout.size(ofValue: count))
    return state.withLock { state in
      defer { state.waitingForOutput = [] }
      return state.waitingForOutput
    }
  }

  private func reap() -> ProcessStatus {
    state.withLock { state in
      // Also end its surviving children. The group ID can't be reused before the process is reaped.
      Platform.send(SIGKILL, toGroupLedBy: processID)
      var status = Int32(0)
      // Can't fail with ECHILD: no other code in this process reaps children.
      _ = try? retryingOnInterrupt { unsafe waitpid(processID, &status, 0) }
      state.isReaped = true
      return ProcessStatus(waitStatus: status)
    }
  }

  /// Passes on the output that one read returns. Returns false at the end of the output.
  private func handOver(_ lines: inout LineSplitter) -> Bool {
    do throws(Errno) {
      var piece: [UInt8] = []
      let count = try output.read(into: &piece, limit: Self.pipeCapacity)
      lines.append(piece)
      return count > 0
    } catch {
      return error == .wouldBlock
    }
  }
}

private func startProgram(
  _ program: String, _ arguments: [String], _ environment: [String: String], output: Int32
) throws(Errno) -> Int32 {
  let variables = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  var patience = Duration.seconds(2)
  while true {
    do throws(Errno) {
      return try retryingOnInterrupt {
        unsafe withCStrings([program] + arguments) { arguments in
          unsafe withCStrings(variables) { variables in
            unsafe clinux_start_program(program, arguments, variables, output)
          }
        }
      }
    } catch {
      // A build may be writing the program. A child that another thread just started can also have it open until it calls exec(3).
      guard error == .textFileBusy, patience > .zero else { throw error }
      patience -= .milliseconds(20)
      _ = poll(nil, 0, 20)
    }
  }
}

/// Passes `texts` to `body` as a null-terminated array of C strings, as exec(3) expects.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = unsafe texts.map { unsafe strdup($0) }
  unsafe pointers.append(nil)
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe body(&pointers)
}
