import CLinux
import Glibc
import Platform

/// A terminal in full-screen mode, with keys read one by one and without echo. Its former state is restored
/// when this value is destroyed, whichever signal causes that, and while the process is suspended.
@safe
struct WatchTerminal: ~Copyable {
  enum Event: Equatable {
    case onTime, quit
    /// The terminal was resized, or other output may have overwritten the table.
    case toBeDrawn
  }

  private let shutdown: ShutdownSignal
  /// A signalfd for the terminal's signals.
  private let signals: FileDescriptor
  /// The former terminal modes; nil if standard input isn't a terminal.
  private var modes: termios?
  private var isTaken = false

  private init(shutdown: ShutdownSignal, signals: consuming FileDescriptor) {
    self.shutdown = shutdown
    self.signals = signals
  }

  /// Takes control of the terminal; nil if standard output isn't a terminal that can show a table.
  static func take(
    shutdown: ShutdownSignal, environment: Environment
  ) throws(Errno) -> WatchTerminal? {
    guard canMoveCursor(on: STDOUT_FILENO, environment) else { return nil }
    var handled = [SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT]
    // If nohup made the process ignore SIGHUP, that stays so.
    if clinux_is_ignored(SIGHUP) == 0 { handled.append(SIGHUP) }
    var mask = set(of: handled)
    _ = try retryingOnInterrupt { unsafe sigprocmask(SIG_BLOCK, &mask, nil) }
    let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
    let signals = FileDescriptor(owning: try retryingOnInterrupt { unsafe signalfd(-1, &mask, flags) })
    var terminal = WatchTerminal(shutdown: shutdown, signals: signals)
    try terminal.enter()
    return terminal
  }

  deinit {
    if isTaken { Self.restore(modes) }
  }

  /// Turns off line input and echo, and switches to the alternate screen without a cursor.
  ///
  /// A process in the background stops here until it is in the foreground.
  private mutating func enter() throws(Errno) {
    // tcsetattr(3) would also stop the process, but again each time that it continues, so SIGTERM couldn't
    // end it.
    for _ in 0..<100 where tcgetpgrp(STDOUT_FILENO) != getpgrp() {
      raise(SIGTTOU)
      if shutdown.isRequested { throw .interrupted }
    }
    if !isTaken {
      var before = termios()
      modes = unsafe tcgetattr(STDIN_FILENO, &before) == 0 ? before : nil
    }
    if var raw = modes {
      raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
      _ = try retryingOnInterrupt { unsafe tcsetattr(STDIN_FILENO, TCSANOW, &raw) }
    }
    isTaken = true
    Self.write("\u{1B}[?1049h\u{1B}[?25l")
  }

  private static func restore(_ modes: termios?) {
    write("\u{1B}[?25h\u{1B}[?1049l")
    guard var modes else { return }
    // SIGTTOU is blocked because in the background it would stop the process, possibly for ever.
    var mask = set(of: [SIGTTOU])
    var before = sigset_t()
    unsafe sigprocmask(SIG_BLOCK, &mask, &before)
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &modes)
    unsafe sigprocmask(SIG_SETMASK, &before, nil)
  }

  /// Stops the process as SIGTSTP (Ctrl-Z) does, with the terminal's former state restored.
  ///
  /// Returns when the process continues, or at once if no shell could continue it (an orphaned process
  /// group).
  private mutating func suspend() {
    if isTaken { Self.restore(modes) }
    isTaken = false
    var mask = Self.set(of: [SIGTSTP])
    unsafe sigprocmask(SIG_UNBLOCK, &mask, nil)
    raise(SIGTSTP)
    unsafe sigprocmask(SIG_BLOCK, &mask, nil)
    // Discards the pending SIGCONT, which has been handled by getting here.
    var continued = Self.set(of: [SIGCONT])
    var atOnce = timespec()
    unsafe sigtimedwait(&continued, nil, &atOnce)
  }

  private static func set(of signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    return set
  }

  var size: TerminalSize { TerminalSize(of: STDOUT_FILENO) }

  /// Draws the lines from the top, and clears the rest of the screen.
  func draw(_ lines: [String]) {
    let text = lines.joined(separator: "\u{1B}[K\r\n")
    Self.write("\u{1B}[H\(text)\u{1B}[K\u{1B}[J")
  }

  /// Waits until `instant`, or until the user quits with q, with a signal, or by closing the terminal.
  mutating func wait(until instant: BootTime) -> Event {
    while true {
      var waits = [
        pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: signals.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: modes == nil ? -1 : STDIN_FILENO, events: Int16(POLLIN), revents: 0),
      ]
      let timeout = BootTime.now.duration(to: instant).millisecondsForTimeout
      let count = unsafe poll(&waits, nfds_t(waits.count), timeout)
      if shutdown.isRequested { return .quit }
      if count == 0 { return .onTime }
      if waits[2].revents != 0, isQuitKey() { return .quit }
      if waits[1].revents != 0, let event = eventOfSignal() { return event }
    }
  }

  /// Handles the next signal and returns its event; nil if there is no signal.
  private mutating func eventOfSignal() -> Event? {
    var information = signalfd_siginfo()
    let count = unsafe read(signals.rawValue, &information, MemoryLayout<signalfd_siginfo>.size)
    guard count > 0 else { return nil }
    switch Int32(information.ssi_signo) {
    case SIGWINCH: return .toBeDrawn
    case SIGTSTP: suspend()
    case SIGCONT: break  // After SIGSTOP, which can't be handled, the shell may have changed everything.
    default: return .quit
    }
    if shutdown.isRequested { return .quit }
    do throws(Errno) {
      try enter()
      return .toBeDrawn
    } catch {
      // Another program controls the terminal now.
      return .quit
    }
  }

  /// Returns whether the input contains q, or whether there is no more input.
  private func isQuitKey() -> Bool {
    var keys = [UInt8](repeating: 0, count: 64)
    let count = unsafe read(STDIN_FILENO, &keys, keys.count)
    if count <= 0 { return count == 0 || errno != EINTR }
    return keys.prefix(count).contains { $0 == UInt8(ascii: "q") || $0 == UInt8(ascii: "Q") }
  }

  private static func write(_ text: String) {
    // If the terminal can't be written to, there is nowhere to report that.
    try? writeAll(Array(text.utf8), to: STDOUT_FILENO)
  }
}

/// Keeps the last message of a log, for a display that has no room for the log.
final class Notices {
  /// The time, the level and the message: `09:41:40 warning: net/tcp: skipped line 3`.
  private(set) var last: String?

  func log(_ environment: Environment) -> Log {
    Log(level: Log(environment).level) { [self] _, line in
      // The line has `[WARN]`, the time and the text, separated by tabs.
      let parts = String(decoding: line.dropLast(1), as: UTF8.self)
        .split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return }
      let level = parts[0].dropFirst().dropLast().lowercased()
      last = "\(parts[1].dropFirst(11).prefix(8)) \(level == "warn" ? "warning" : level): \(parts[2])"
    }
  }
}
