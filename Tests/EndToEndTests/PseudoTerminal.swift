import CLinux
import Glibc
import Platform
import TestSupport
import Testing

/// A pseudo-terminal through which a test reads a program's output and types keys.
///
/// `read` and `wait` block their thread (see `ownThreads`). Otherwise a program that draws constantly would fill the terminal while
/// other tests run, and then never read a key.
final class PseudoTerminal {
  private let master: FileDescriptor
  private let slave: FileDescriptor
  private let path: String
  private var processID: pid_t = 0
  /// The program's output so far.
  private(set) var output = ""
  private var bytes: [UInt8] = []

  init(rows: UInt16 = 24, columns: UInt16 = 80) throws {
    var ends: (Int32, Int32) = (-1, -1)
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    var name = [CChar](repeating: 0, count: 128)
    _ = try retryingOnInterrupt { unsafe openpty(&ends.0, &ends.1, &name, nil, &size) }
    master = FileDescriptor(owning: ends.0)
    slave = FileDescriptor(owning: ends.1)
    path = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    if processID > 0 {
      kill(processID, SIGKILL)
      _ = waitpid(processID, nil, 0)
    }
  }

  /// The terminal's input settings, which a program must restore.
  var modes: [UInt32] {
    var modes = termios()
    guard unsafe tcgetattr(slave.rawValue, &modes) == 0 else { return [] }
    let keys = unsafe withUnsafeBytes(of: &modes.c_cc) { unsafe $0.map { UInt32($0) } }
    return [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag] + keys
  }

  var showsKeys: Bool { modes.count > 3 && modes[3] & UInt32(ECHO) != 0 }

  /// Starts a program in a new session with this as its controlling terminal.
  func start(_ program: BuiltProgram, _ arguments: [String], environment: [String: String] = [:]) throws {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    // The first terminal that a session leader opens becomes its controlling terminal, which sends SIGINT on Ctrl-C.
    unsafe posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, 0, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, 0, 2)
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, declared for _GNU_SOURCE only.
    var attributes = spawnAttributes(newSession)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var words = unsafe ([program.path] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    let variables = ["TERM": "xterm", "LANG": "C.UTF-8"].merging(environment) { _, given in given }
    var settings = unsafe variables.map { unsafe strdup("\($0)=\($1)") } + [nil]
    defer { unsafe settings.forEach { unsafe free($0) } }
    let result = unsafe posix_spawn(&processID, program.path, &actions, &attributes, &words, &settings)
    try #require(result == 0)
  }

  /// Closes the other side of the terminal, like closing a terminal window.
  func hangUp() throws {
    let null = FileDescriptor(
      owning: try retryingOnInterrupt { unsafe open("/dev/null", O_RDWR | O_CLOEXEC) })
    _ = try retryingOnInterrupt { dup2(null.rawValue, master.rawValue) }
  }

  func type(_ keys: String) throws { try master.writeAll(Array(keys.utf8)) }

  func send(_ signal: Int32) { kill(processID, signal) }

  /// Changes the size of the terminal, which sends SIGWINCH to the program.
  func resize(rows: Int, columns: Int) throws {
    let command = "/bin/stty -F \(path) rows \(rows) cols \(columns)"
    try #require(unsafe system(command) == 0)
  }

  /// Reads until `isEnough` returns true for the output so far.
  func read(until isEnough: (String) -> Bool, limit: Duration = .seconds(60)) throws {
    let deadline = BootTime.now.advanced(by: limit)
    while !isEnough(output) {
      try #require(BootTime.now < deadline, "the terminal only shows: \(output)")
      _ = readOnce()
    }
  }

  /// Waits for the program to end. Returns its exit status, or 128 plus the signal.
  func wait(limit: Duration = .seconds(60)) throws -> Int32 {
    let deadline = BootTime.now.advanced(by: limit)
    var status: Int32 = 0
    while unsafe waitpid(processID, &status, WNOHANG) == 0 {
      try #require(BootTime.now < deadline, "the program doesn't end: \(output)")
      _ = readOnce()
    }
    processID = 0
    while readOnce() {}
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
  }

  /// Waits up to 20 ms for output and reads it. Returns whether there was any.
  private func readOnce() -> Bool {
    var waits = [pollfd(fd: master.rawValue, events: Int16(POLLIN), revents: 0)]
    guard unsafe poll(&waits, 1, 20) > 0, let count = try? master.read(into: &bytes, limit: 65_536), count > 0
    else { return false }
    output = String(decoding: bytes, as: UTF8.self)
    return true
  }
}
