import CLinux
import Glibc

/// The reason why a program's output isn't available.
package enum ProgramError: Error, Equatable, Sendable, CustomStringConvertible {
  case notStarted(Errno)
  case unreadable(Errno)
  case timedOut
  case tooMuchOutput(limit: Int)
  /// It ended with a status other than 0.
  case exited(status: Int32)
  case killed(signal: Int32)

  package var description: String {
    switch self {
    case .notStarted(let errno): "it can't be started: \(errno)"
    case .unreadable(let errno): "its output can't be read: \(errno)"
    case .timedOut: "it took too long and was stopped"
    case .tooMuchOutput(let limit): "it wrote more than \(limit) bytes"
    case .exited(let status): "it ended with status \(status)"
    case .killed(let signal): "it was ended by signal \(signal)"
    }
  }
}

/// A program to run for its standard output.
///
/// It gets ``input`` as its standard input, none of this process's other descriptors, and only the environment variables given
/// here. It has no terminal. No shell is involved, unless the program is one.
package struct Program: Sendable {
  package let path: String
  package var arguments: [String] = []
  package var environment: [String: String] = [:]
  /// The maximum size of its standard output in bytes.
  package let outputLimit: Int
  /// The number of bytes of its standard error to keep; the program may write any number. If 0, standard error is
  /// `/dev/null`.
  package var errorLimit = 0
  /// The contents of its standard input.
  package var input: [UInt8] = []

  package init(_ path: String, outputLimit: Int) {
    self.path = path
    self.outputLimit = outputLimit
  }

  /// The standard error of a program.
  package struct Errors: Equatable, Sendable {
    /// The first bytes, at most ``Program/errorLimit``.
    package fileprivate(set) var kept: [UInt8] = []
    /// The number of bytes that the program wrote, kept or not.
    package fileprivate(set) var count = 0

    package init() {}
  }

  /// Runs the program and returns its output, if the program succeeds before `deadline`.
  package func output(
    until deadline: BootTime, or shutdown: ShutdownSignal? = nil
  ) throws(ProgramError) -> [UInt8] {
    var errors = Errors()
    return try output(until: deadline, or: shutdown, errors: &errors)
  }

  /// Runs the program and returns its output, if the program succeeds before `deadline`; `errors` receives its standard
  /// error even if it fails.
  ///
  /// The program runs in a separate process group. When it has ended, or at `deadline` or `shutdown`, the program and the
  /// rest of its group are killed. Processes that it started outside the group survive: no Linux system call finds them.
  package func output(
    until deadline: BootTime, or shutdown: ShutdownSignal?, errors: inout Errors
  ) throws(ProgramError) -> [UInt8] {
    let running = try RunningProgram(self)
    var output: [UInt8] = []
    var (hasOutput, hasErrors) = (true, true)
    while true {
      running.waitForBytes(output: hasOutput, errors: hasErrors)
      if hasErrors { hasErrors = running.readErrors(into: &errors, limit: errorLimit) != .end }
      if hasOutput { hasOutput = try running.readOutput(into: &output, limit: outputLimit) != .end }
      if try running.hasEnded() {
        // All that it wrote before it ended is in the pipes by now. Its standard error is read only once, because a
        // process that it left behind may write to it for ever.
        if hasErrors { _ = running.readErrors(into: &errors, limit: errorLimit) }
        while hasOutput { hasOutput = try running.readOutput(into: &output, limit: outputLimit) == .bytes }
        break
      }
      if BootTime.now >= deadline || shutdown?.isRequested == true { throw .timedOut }
    }
    try running.checkStatus()
    return output
  }
}

/// A program that was started and has not yet been waited for.
private struct RunningProgram: ~Copyable {
  /// The result of reading from a pipe.
  enum Reading {
    case bytes, nothing, end
  }

  private let processID: Int32
  private let output: FileDescriptor
  /// Nil if the program's standard error is discarded.
  private let errors: FileDescriptor?

  init(_ program: Program) throws(ProgramError) {
    do throws(Errno) {
      let outputPipe = try Pipe()
      if program.errorLimit > 0 {
        let errorPipe = try Pipe()
        processID = try spawn(
          program, output: outputPipe.writing.rawValue, errors: errorPipe.writing.rawValue)
        errors = consume errorPipe.reading
      } else {
        processID = try spawn(program, output: outputPipe.writing.rawValue, errors: nil)
        errors = nil
      }
      output = outputPipe.reading
      Orphans.programStarts()
    } catch {
      throw .notStarted(error)
    }
  }

  /// Kills the program and the rest of its process group, and waits for the program.
  ///
  /// If the kernel can't end the program at once because a file system doesn't respond, the wait is abandoned after a
  /// second.
  deinit {
    // The program hasn't been waited for until here, so the kernel can't have reused its process id.
    send(SIGKILL, toGroupLedBy: processID)
    for _ in 0..<100 {
      if waitpid(processID, nil, WNOHANG) != 0 { break }
      _ = poll(nil, 0, 10)
    }
    Orphans.programHasEnded()
  }

  /// Waits until one of the open pipes has bytes, but only briefly: the end of the program doesn't wake poll(2).
  borrowing func waitForBytes(output isOutputOpen: Bool, errors isErrorOpen: Bool) {
    let errorNumber: Int32
    switch errors {
    case .some(let errors) where isErrorOpen: errorNumber = errors.rawValue
    default: errorNumber = -1
    }
    // poll(2) ignores negative descriptors.
    var waits = [
      pollfd(fd: isOutputOpen ? output.rawValue : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: errorNumber, events: Int16(POLLIN), revents: 0),
    ]
    // A program that has closed its output usually ends at once.
    _ = unsafe poll(&waits, nfds_t(waits.count), isOutputOpen ? 20 : 1)
  }

  /// Reads available bytes of the program's standard output, without waiting.
  borrowing func readOutput(into buffer: inout [UInt8], limit: Int) throws(ProgramError) -> Reading {
    do throws(Errno) {
      guard try output.read(into: &buffer, limit: 4_096) > 0 else { return .end }
    } catch {
      if error == .wouldBlock { return .nothing }
      throw .unreadable(error)
    }
    if buffer.count > limit { throw .tooMuchOutput(limit: limit) }
    return .bytes
  }

  /// Reads available bytes of the program's standard error, without waiting: at most as many as a pipe holds (pipe(7)).
  ///
  /// An error only ends the reading; the program's output is still valid.
  borrowing func readErrors(into result: inout Program.Errors, limit: Int) -> Reading {
    switch errors {
    case .none: return .end
    case .some(let errors):
      var bytes: [UInt8] = []
      do throws(Errno) {
        guard try errors.read(into: &bytes, limit: 65_536) > 0 else { return .end }
      } catch {
        return error == .wouldBlock ? .nothing : .end
      }
      result.kept += bytes.prefix(max(0, limit - result.kept.count))
      result.count += bytes.count
      return .bytes
    }
  }

  /// Returns whether the program has ended, without reaping it.
  borrowing func hasEnded() throws(ProgramError) -> Bool {
    var information = unsafe siginfo_t()
    guard unsafe waitid(P_PID, id_t(processID), &information, WEXITED | WNOHANG | WNOWAIT) == 0 else {
      // If this process's parent made it ignore SIGCHLD, the kernel discards the exit status of programs.
      throw .unreadable(.current)
    }
    return unsafe information.si_signo == SIGCHLD
  }

  borrowing func checkStatus() throws(ProgramError) {
    var information = unsafe siginfo_t()
    guard unsafe waitid(P_PID, id_t(processID), &information, WEXITED | WNOWAIT) == 0 else {
      throw .unreadable(.current)
    }
    let status = unsafe clinux_exit_status(&information)
    if unsafe information.si_code != CLD_EXITED { throw .killed(signal: status) }
    if status != 0 { throw .exited(status: status) }
  }
}

/// A pipe whose reading end doesn't block; the program that inherits the writing end isn't affected.
private struct Pipe: ~Copyable {
  let reading: FileDescriptor
  let writing: FileDescriptor

  init() throws(Errno) {
    var ends: [Int32] = [-1, -1]
    _ = try retryingOnInterrupt { unsafe clinux_pipe(&ends, O_CLOEXEC) }
    let reading = FileDescriptor(owning: ends[0])
    let writing = FileDescriptor(owning: ends[1])
    _ = try retryingOnInterrupt { clinux_set_nonblocking(reading.rawValue) }
    self.reading = reading
    self.writing = writing
  }
}

/// Starts `program` with descriptors for its standard output and its standard error, and returns its process id.
private func spawn(_ program: Program, output: Int32, errors: Int32?) throws(Errno) -> Int32 {
  var actions = unsafe posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  try check(unsafe posix_spawn_file_actions_init(&actions))
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  try check(unsafe posix_spawnattr_init(&attributes))
  defer { unsafe posix_spawnattr_destroy(&attributes) }
  // A file in memory holds any amount, so that a program that doesn't read it can't block this process.
  let input = try inputFile(program.input)
  defer { if let input { close(input) } }
  if let input {
    try check(unsafe posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO))
  } else {
    try check(unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0))
  }
  try check(unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO))
  if let errors {
    try check(unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO))
  } else {
    try check(
      unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0))
  }
  try check(unsafe posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1))
  // The program must not inherit the signals that this process blocks or ignores.
  var none = sigset_t()
  var all = sigset_t()
  unsafe sigemptyset(&none)
  unsafe sigfillset(&all)
  try check(unsafe posix_spawnattr_setsigmask(&attributes, &none))
  try check(unsafe posix_spawnattr_setsigdefault(&attributes, &all))
  // A new session has no terminal. With one, a program that asks for a password would be stopped (SIGTTIN) until its time
  // limit, because it isn't in the foreground. Without one, it fails at once and reports why. The session leader also
  // leads a new process group.
  let flags = clinux_spawn_new_session | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
  try check(unsafe posix_spawnattr_setflags(&attributes, Int16(flags)))
  var processID: Int32 = 0
  let variables = program.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  try check(
    unsafe withCStrings([program.path] + program.arguments) { arguments in
      unsafe withCStrings(variables) { variables in
        unsafe posix_spawn(&processID, program.path, &actions, &attributes, arguments, variables)
      }
    })
  return processID
}

/// Returns the descriptor of a file in memory (memfd_create(2)) with these contents, at its beginning; nil if there are none.
private func inputFile(_ contents: [UInt8]) throws(Errno) -> Int32? {
  guard !contents.isEmpty else { return nil }
  let descriptor = try retryingOnInterrupt { unsafe clinux_memory_file("input") }
  do throws(Errno) {
    try writeAll(contents, to: descriptor)
    guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw .current }
    return descriptor
  } catch {
    close(descriptor)
    throw error
  }
}

/// Throws the error number that a function of the posix_spawn family returned, unless it is 0.
private func check(_ result: Int32) throws(Errno) {
  if result != 0 { throw Errno(rawValue: result) }
}

/// Passes `texts` to `body` as the null-terminated array of C strings that exec(3) expects.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = unsafe texts.map { unsafe strdup($0) }
  unsafe pointers.append(nil)
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe body(&pointers)
}
