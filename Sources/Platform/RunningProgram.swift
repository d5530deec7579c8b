import CLinux
import Glibc

/// Why a program's output isn't to be had.
package enum ProgramError: Error, Equatable, Sendable, CustomStringConvertible {
  case notStarted(Errno)
  case unreadable(Errno)
  case timedOut
  case tooMuchOutput(limit: Int)
  /// It ended with another status than 0.
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

/// A program to run for what it writes to its standard output.
///
/// It has an empty standard input, no other descriptor of ours, and of the environment what it is given here. It has no
/// terminal. No shell is in between, unless it is the program.
package struct Program: Sendable {
  package let path: String
  package var arguments: [String] = []
  package var environment: [String: String] = [:]
  /// How much it may write, in bytes.
  package let outputLimit: Int
  /// The number of bytes of its standard error to keep; the program may write any number. If 0, standard error is
  /// `/dev/null`.
  package var errorLimit = 0

  package init(_ path: String, outputLimit: Int) {
    self.path = path
    self.outputLimit = outputLimit
  }

  /// What a program wrote to its standard error.
  package struct Errors: Equatable, Sendable {
    /// The first bytes, at most ``Program/errorLimit``.
    package fileprivate(set) var kept: [UInt8] = []
    /// The number of all bytes.
    package fileprivate(set) var count = 0

    package init() {}
  }

  /// What it wrote, if it ended well and in time.
  package func output(
    until deadline: BootTime, or shutdown: ShutdownSignal? = nil
  ) throws(ProgramError) -> [UInt8] {
    var errors = Errors()
    return try output(until: deadline, or: shutdown, errors: &errors)
  }

  /// What it wrote, if it ended well and in time; `errors` gets its standard error however the program ended.
  ///
  /// It runs in a process group of its own. When it has ended, or when `deadline` or `shutdown` comes, the program and what
  /// is left of the group are killed. What it started outside of the group is not: no call of Linux finds that.
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
        // What it wrote before it ended is in the pipes by now. Its standard error is read once, because a process that it
        // left behind may write to that forever.
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

/// A program that was started and is not yet waited for.
private struct RunningProgram: ~Copyable {
  /// What there was to read from a pipe.
  enum Reading {
    case bytes, nothing, end
  }

  private let processID: Int32
  private let output: FileDescriptor
  /// Nil if nobody wants the program's standard error.
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

  /// Kills the program and what is left of its process group, and waits for the program.
  ///
  /// A program that the kernel can't end at once, because a file system doesn't answer, is left to it after a second.
  deinit {
    // The program isn't waited for until here, so that its number can't be another's by now.
    send(SIGKILL, toGroupLedBy: processID)
    for _ in 0..<100 {
      if waitpid(processID, nil, WNOHANG) != 0 { break }
      _ = poll(nil, 0, 10)
    }
    Orphans.programHasEnded()
  }

  /// Waits until one of the pipes that are still open has bytes, but only briefly: that the program ends wakes nobody.
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

  /// Reads what the program wrote to its standard output, without waiting for it.
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

  /// Reads what the program wrote to its standard error, without waiting for it: as much as a pipe holds (pipe(7)).
  ///
  /// An error ends only the reading; the program's output is still good.
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

  /// Whether the program has ended; it stays to be waited for.
  borrowing func hasEnded() throws(ProgramError) -> Bool {
    var information = unsafe siginfo_t()
    guard unsafe waitid(P_PID, id_t(processID), &information, WEXITED | WNOHANG | WNOWAIT) == 0 else {
      // Whoever started this process has it ignore SIGCHLD: then nobody learns how a program ended.
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
  try check(unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0))
  try check(unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO))
  if let errors {
    try check(unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO))
  } else {
    try check(
      unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0))
  }
  try check(unsafe posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1))
  // Neither the signals that this process blocks nor those that it ignores are the program's concern.
  var none = sigset_t()
  var all = sigset_t()
  unsafe sigemptyset(&none)
  unsafe sigfillset(&all)
  try check(unsafe posix_spawnattr_setsigmask(&attributes, &none))
  try check(unsafe posix_spawnattr_setsigdefault(&attributes, &all))
  // A session has no terminal when it begins. A program that asks its terminal for a password would be stopped (SIGTTIN)
  // until its time is up, for it isn't in the foreground; without a terminal it fails at once and says why. The session's
  // leader also leads a process group of its own.
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
