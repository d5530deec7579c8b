import CLinux
import Glibc
import Platform

/// A terminal that a table is drawn on, key by key and without echo; what it was before is restored with its owner's end,
/// whichever signal is the reason, and while the process is suspended.
@safe
struct WatchTerminal: ~Copyable {
  enum Event: Equatable {
    case onTime, quit
    /// It has another size, or something else was drawn on it meanwhile.
    case toBeDrawn
  }

  private let shutdown: ShutdownSignal
  /// Tells of the terminal's signals.
  private let signals: FileDescriptor
  /// How keys were read before; nil where there is no keyboard.
  private var modes: termios?
  private var isTaken = false

  private init(shutdown: ShutdownSignal, signals: consuming FileDescriptor) {
    self.shutdown = shutdown
    self.signals = signals
  }

  /// Takes the terminal over; nil where standard output is none that a table could be drawn on.
  static func take(
    shutdown: ShutdownSignal, environment: Environment
  ) throws(Errno) -> WatchTerminal? {
    guard canMoveCursor(on: STDOUT_FILENO, environment) else { return nil }
    var handled = [SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT]
    // As nohup has it.
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

  /// Has keys read one by one and not shown, and draws on the other screen, without a cursor.
  ///
  /// Waits stopped, as programs in the background do, until it is in the foreground.
  private mutating func enter() throws(Errno) {
    // By tcsetattr(3) the process would stop too, but each time that it is continued: SIGTERM wouldn't end it.
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
    // In the background it would stop the process, and nobody may be there to continue it.
    var mask = set(of: [SIGTTOU])
    var before = sigset_t()
    unsafe sigprocmask(SIG_BLOCK, &mask, &before)
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &modes)
    unsafe sigprocmask(SIG_SETMASK, &before, nil)
  }

  /// Stops the process as SIGTSTP (Ctrl-Z) would, with the terminal as it was before.
  ///
  /// Returns when it is continued; at once where there is no shell that could do so (an orphaned process group).
  private mutating func suspend() {
    if isTaken { Self.restore(modes) }
    isTaken = false
    var mask = Self.set(of: [SIGTSTP])
    unsafe sigprocmask(SIG_UNBLOCK, &mask, nil)
    raise(SIGTSTP)
    unsafe sigprocmask(SIG_BLOCK, &mask, nil)
    // It has been heeded, by being here.
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

  /// Draws the lines from the top, in place of all there was.
  func draw(_ lines: [String]) {
    let text = lines.joined(separator: "\u{1B}[K\r\n")
    Self.write("\u{1B}[H\(text)\u{1B}[K\u{1B}[J")
  }

  /// Waits until `instant`, or until somebody wants to quit: by q, by a signal, or by closing the terminal.
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

  /// What the next signal asks for; nil where there is none.
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
      // It is somebody else's by now.
      return .quit
    }
  }

  /// Whether what was typed asks to quit; so does the end of what can be typed.
  private func isQuitKey() -> Bool {
    var keys = [UInt8](repeating: 0, count: 64)
    let count = unsafe read(STDIN_FILENO, &keys, keys.count)
    if count <= 0 { return count == 0 || errno != EINTR }
    return keys.prefix(count).contains { $0 == UInt8(ascii: "q") || $0 == UInt8(ascii: "Q") }
  }

  private static func write(_ text: String) {
    // Nobody is left to tell that nobody looks.
    try? writeAll(Array(text.utf8), to: STDOUT_FILENO)
  }
}

/// The last line of a log, to be shown where the log's lines have no place.
final class Notices {
  private(set) var last: String?

  func log(_ environment: Environment) -> Log {
    Log(level: Log(environment).level) { [self] _, line in
      last = String(decoding: line.dropLast(1), as: UTF8.self)
    }
  }
}
