import CLinux
import Glibc
import NIOPosix
package import Platform
import Synchronization

/// How a process ended.
package enum ProcessStatus: Equatable, Sendable, CustomStringConvertible {
  case code(Int32)
  case signal(Int32)

  /// Reads the status that waitpid(2) gives.
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7F
    self = signal == 0 ? .code(waitStatus >> 8 & 0xFF) : .signal(signal)
  }

  /// `exit status 1`, `signal: aborted`: how Lambda words it.
  package var description: String {
    switch self {
    case .code(let code): return "exit status \(code)"
    case .signal(let signal):
      guard let words = unsafe strsignal(signal) else { return "signal: \(signal)" }
      return unsafe "signal: \(String(cString: words).lowercased())"
    }
  }
}

/// Why a program couldn't be started.
package struct LaunchError: Error, Equatable, Sendable, CustomStringConvertible {
  package let program: String
  package let reason: Errno

  package var description: String { "can't start \(program): \(reason)" }
}

/// A process that this one started, in a process group of its own.
///
/// Started by posix_spawn(3): Foundation's `Process` can't make a process group, and would be the only use of
/// Foundation here. What is secret goes through the environment, which the kernel shows to this user only, and never
/// through the arguments, which it shows to everybody. The group dies with its leader: what the program itself started
/// doesn't outlive it.
package final class ChildProcess: Sendable {
  package let processID: Int32
  /// Standard output and standard error of the process, in one pipe, so that their order is kept.
  private let output: FileDescriptor
  /// Readable once the process has ended (pidfd_open(2)).
  private let exitNotice: FileDescriptor
  private let isReaped = Mutex(false)

  /// Starts `program` with exactly the variables of `environment`, no standard input, and this process's directory.
  package init(
    launching program: String, arguments: [String] = [], environment: [String: String]
  ) throws(LaunchError) {
    do throws(Errno) {
      let pipe = try makePipe()
      let writing = pipe.writing
      processID = try spawn(program, arguments, environment, output: writing.rawValue)
      output = pipe.reading
    } catch {
      throw LaunchError(program: program, reason: error)
    }
    let processID = processID
    do throws(Errno) {
      exitNotice = FileDescriptor(owning: try retryingOnInterrupt { clinux_pidfd_open(processID, 0) })
    } catch {
      // Nobody could wait for it: better no process than one that is left behind.
      kill(-processID, SIGKILL)
      var status = Int32(0)
      _ = unsafe waitpid(processID, &status, 0)
      throw LaunchError(program: program, reason: error)
    }
  }

  /// Sends `signal` to the process and to all that it started; does nothing once it has ended.
  package func send(_ signal: Int32) {
    isReaped.withLock { isReaped in
      // Before the process is reaped its number can't have become another's.
      if !isReaped { kill(-processID, signal) }
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

  /// Waits until the process ends; whatever it writes meanwhile is handed to `lines`.
  ///
  /// Called once, right after the start: it is what reaps the process.
  package func wait(lines: LineCollector) async -> ProcessStatus {
    // A thread of its own: poll(2) blocks as long as the process lives.
    let thread = NIOThreadPool(numberOfThreads: 1)
    thread.start()
    let status = try? await thread.runIfActive { self.waitBlocking(lines: lines) }
    try? await thread.shutdownGracefully()
    // The pool was active, and its work doesn't throw.
    return status ?? .code(-1)
  }

  private func waitBlocking(lines: LineCollector) -> ProcessStatus {
    var isOutputOpen = true
    while true {
      var waits = [
        pollfd(fd: isOutputOpen ? output.rawValue : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: exitNotice.rawValue, events: Int16(POLLIN), revents: 0),
      ]
      let ready = unsafe poll(&waits, nfds_t(waits.count), -1)
      if ready < 0, errno != EINTR { break }
      if waits[0].revents != 0 { isOutputOpen = drainOutput(to: lines) }
      if waits[1].revents != 0 { break }
    }
    let status = isReaped.withLock { isReaped in
      // What it started and left behind goes too; the group's number is its own until it is reaped.
      kill(-processID, SIGKILL)
      var status = Int32(0)
      _ = try? retryingOnInterrupt { unsafe waitpid(processID, &status, 0) }
      isReaped = true
      return status
    }
    _ = drainOutput(to: lines)
    lines.finish()
    return ProcessStatus(waitStatus: status)
  }

  /// Hands over what the process has written up to now; false once its output is at its end.
  @discardableResult
  func drainOutput(to lines: LineCollector) -> Bool {
    lines.drain { buffer in
      do throws(Errno) {
        return try output.read(into: &buffer, limit: 65_536) > 0 ? .read : .end
      } catch {
        return error == .wouldBlock ? .nothingYet : .end
      }
    }
  }
}

/// A pipe: whoever reads doesn't block, and a program that is started inherits neither end by accident.
private func makePipe() throws(Errno) -> Pipe {
  var ends: [Int32] = [-1, -1]
  _ = try retryingOnInterrupt { unsafe clinux_pipe(&ends, O_CLOEXEC) }
  let pipe = Pipe(reading: FileDescriptor(owning: ends[0]), writing: FileDescriptor(owning: ends[1]))
  // O_NONBLOCK belongs to the open end, and the writing one is the program's.
  _ = try retryingOnInterrupt { clinux_set_nonblocking(pipe.reading.rawValue) }
  return pipe
}

private struct Pipe: ~Copyable {
  let reading: FileDescriptor
  let writing: FileDescriptor
}

private func spawn(
  _ program: String, _ arguments: [String], _ environment: [String: String], output: Int32
) throws(Errno) -> Int32 {
  var actions = unsafe posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  try check(unsafe posix_spawn_file_actions_init(&actions))
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  try check(unsafe posix_spawnattr_init(&attributes))
  defer { unsafe posix_spawnattr_destroy(&attributes) }
  try check(unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0))
  try check(unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO))
  try check(unsafe posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO))
  try check(unsafe posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1))
  // Neither the signals that this process blocks nor those it ignores are the program's concern.
  var none = sigset_t()
  var all = sigset_t()
  unsafe sigemptyset(&none)
  unsafe sigfillset(&all)
  try check(unsafe posix_spawnattr_setsigmask(&attributes, &none))
  try check(unsafe posix_spawnattr_setsigdefault(&attributes, &all))
  try check(unsafe posix_spawnattr_setpgroup(&attributes, 0))
  let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
  try check(unsafe posix_spawnattr_setflags(&attributes, Int16(flags)))
  var processID = Int32(0)
  let variables = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  try check(
    unsafe withCStrings([program] + arguments) { arguments in
      unsafe withCStrings(variables) { variables in
        unsafe posix_spawn(&processID, program, &actions, &attributes, arguments, variables)
      }
    })
  return processID
}

/// Throws what a function of the posix_spawn family returned, unless it is 0.
private func check(_ result: Int32) throws(Errno) {
  if result != 0 { throw Errno(rawValue: result) }
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
