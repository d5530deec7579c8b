import CLinux
import Glibc
import NIOPosix
import Platform
import Synchronization

/// A process that this one started, in a process group of its own.
///
/// It never outlives this one, not even where this one is killed: the kernel kills it when the thread that started it
/// ends, and that thread does nothing but watch it. What it started itself is killed with its group. What is secret
/// goes through the environment, which the kernel shows to this user only, and never through the arguments, which it
/// shows to everybody.
package final class ChildProcess: Sendable {
  /// What a pipe holds (pipe(7)): so much, and no more, of what was written before a read is still in it.
  private static let pipeCapacity = 65_536

  package let processID: Int32
  private let thread: NIOThreadPool
  /// Standard output and standard error of the process, in one pipe, so that their order is kept.
  private let output: FileDescriptor
  /// Readable once the process has ended (pidfd_open(2)).
  private let exitNotice: FileDescriptor
  /// Readable when somebody waits for the output so far (eventfd(2)).
  private let outputRequest: FileDescriptor
  private let state = Mutex(State())

  private struct State {
    var isReaped = false
    var isOver = false
    var waitingForOutput: [CheckedContinuation<Void, Never>] = []
  }

  /// Starts `program` with exactly the variables of `environment`, no standard input, and this process's directory.
  ///
  /// ``wait(onLine:)`` has to follow: it is what reaps the process.
  package static func start(
    _ program: String, arguments: [String] = [], environment: [String: String]
  ) async throws(LaunchError) -> ChildProcess {
    let thread = NIOThreadPool(numberOfThreads: 1)
    thread.start()
    let process = try? await thread.runIfActive {
      Result { () throws(Errno) in try ChildProcess(program, arguments, environment, on: thread) }
    }
    // Nothing came of it where this task was cancelled first.
    switch process ?? .failure(Errno(rawValue: ECANCELED)) {
    case .success(let process): return process
    case .failure(let reason):
      // A pool that is active can be shut down.
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
    // O_NONBLOCK belongs to the open end, and the writing one is the program's.
    let reading = ends[0]
    _ = try retryingOnInterrupt { clinux_set_nonblocking(reading) }
    outputRequest = FileDescriptor(
      owning: try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
    let processID = try startProgram(program, arguments, environment, output: writing.rawValue)
    self.processID = processID
    do throws(Errno) {
      exitNotice = FileDescriptor(owning: try retryingOnInterrupt { clinux_pidfd_open(processID, 0) })
    } catch {
      // Nobody could wait for it: better no process than one that is left behind.
      Platform.send(SIGKILL, toGroupLedBy: processID)
      _ = waitpid(processID, nil, 0)
      throw error
    }
  }

  /// Sends `signal` to the process and to all that it started; does nothing once it has ended.
  package func send(_ signal: Int32) {
    state.withLock { state in
      // Before the process is reaped its number can't have become another's.
      if !state.isReaped { Platform.send(signal, toGroupLedBy: processID) }
    }
  }

  /// Whether the process has ended, also where nobody was told yet.
  package var hasEnded: Bool {
    var wait = pollfd(fd: exitNotice.rawValue, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, 0) > 0
  }

  /// The most memory that the process has had in use, in bytes; nil where it has ended.
  ///
  /// Reads `VmHWM` of `/proc/<pid>/status`. Not `ru_maxrss`, which would contain what this process had in use when
  /// it started the other.
  package var peakMemory: Int? {
    guard let status = try? readFile("/proc/\(processID)/status", limit: 1 << 20) else {
      // Ended, and reaped: no memory to tell of.
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

  /// Waits until the process ends; whatever it writes meanwhile is handed to `onLine`, line by line.
  ///
  /// Called once, right after the start.
  package func wait(onLine: @escaping @Sendable (String) -> Void) async -> ProcessStatus {
    // Whatever becomes of the caller, the process is watched to its end.
    await Task {
      // The pool is active until here, and its work doesn't throw.
      let status = try? await thread.runIfActive { self.watch(LineSplitter(onLine)) }
      try? await thread.shutdownGracefully()
      return status ?? .code(-1)
    }.value
  }

  /// Waits until all was handed over that the process has written up to now.
  func outputSoFar() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.isOver { state.waitingForOutput.append(continuation) }
        return state.isOver
      }
      if isOver { return continuation.resume() }
      var one: UInt64 = 1
      // Fails only where as many requests wait as a counter can count.
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
      // Nothing but a signal can interrupt a poll of three open descriptors.
      if ready <= 0 { continue }
      let isRequested = waits[1].revents != 0
      let waiting = isRequested ? takeRequests() : []
      // One read a turn: who never stops writing would else keep the end of the process from being seen.
      if isRequested || waits[2].revents != 0 { isOutputOpen = handOver(&lines) }
      for continuation in waiting { continuation.resume() }
      if waits[0].revents != 0 { break }
    }
    let status = reap()
    // The group is dead, so there is at most what the pipe holds.
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
      // What it started and left behind goes too; the group's number is its own until it is reaped.
      Platform.send(SIGKILL, toGroupLedBy: processID)
      var status = Int32(0)
      // Fails only where another part of this process reaped it, and there is none.
      _ = try? retryingOnInterrupt { unsafe waitpid(processID, &status, 0) }
      state.isReaped = true
      return ProcessStatus(waitStatus: status)
    }
  }

  /// Hands over what one read finds; false once the output is at its end.
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
  return try retryingOnInterrupt {
    unsafe withCStrings([program] + arguments) { arguments in
      unsafe withCStrings(variables) { variables in
        unsafe clinux_start_program(program, arguments, variables, output)
      }
    }
  }
}

/// Lends `texts` as the null-terminated array of C strings that exec(3) takes.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = unsafe texts.map { unsafe strdup($0) }
  unsafe pointers.append(nil)
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe body(&pointers)
}
