import CLinux
import Glibc
import Platform

/// A terminal that a table is drawn on, key by key and without echo; what it was before is restored with its owner's end.
@safe
struct WatchTerminal: ~Copyable {
  enum Event: Equatable {
    case onTime, resized, quit
  }

  private let shutdown: ShutdownSignal
  /// Tells of SIGWINCH.
  private let resizes: FileDescriptor
  /// How keys were read before; nil where there is no keyboard.
  private let modes: termios?

  private init(shutdown: ShutdownSignal, resizes: consuming FileDescriptor, modes: termios?) {
    self.shutdown = shutdown
    self.resizes = resizes
    self.modes = modes
    // The other screen, without a cursor.
    Self.write("\u{1B}[?1049h\u{1B}[?25l")
  }

  /// Takes the terminal over; nil where standard output is none that a table could be drawn on.
  static func take(
    shutdown: ShutdownSignal, environment: Environment
  ) throws(Errno) -> WatchTerminal? {
    guard canMoveCursor(on: STDOUT_FILENO, environment) else { return nil }
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, SIGWINCH)
    _ = try retryingOnInterrupt { unsafe sigprocmask(SIG_BLOCK, &mask, nil) }
    let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
    let resizes = FileDescriptor(owning: try retryingOnInterrupt { unsafe signalfd(-1, &mask, flags) })
    let modes = try readKeyByKey()
    return WatchTerminal(shutdown: shutdown, resizes: resizes, modes: modes)
  }

  /// Has keys read one by one and not shown; returns how it was before, nil where there is no keyboard.
  private static func readKeyByKey() throws(Errno) -> termios? {
    var before = termios()
    guard unsafe tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
    var raw = before
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    unsafe withUnsafeMutableBytes(of: &raw.c_cc) { characters in
      // Ctrl-C is SIGINT as ever. Stopped by Ctrl-Z or ended by Ctrl-\, nobody would restore the terminal.
      unsafe characters[Int(VSUSP)] = 0
      unsafe characters[Int(VQUIT)] = 0
    }
    _ = try retryingOnInterrupt { unsafe tcsetattr(STDIN_FILENO, TCSANOW, &raw) }
    return before
  }

  deinit {
    Self.write("\u{1B}[?25h\u{1B}[?1049l")
    if var modes { _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &modes) }
  }

  var size: TerminalSize { TerminalSize(of: STDOUT_FILENO) }

  /// Draws the lines from the top, in place of all there was.
  func draw(_ lines: [String]) {
    let text = lines.joined(separator: "\u{1B}[K\r\n")
    Self.write("\u{1B}[H\(text)\u{1B}[K\u{1B}[J")
  }

  /// Waits until `instant`, or until somebody wants to quit: by q, by a signal, or by closing the terminal.
  func wait(until instant: BootTime) -> Event {
    while true {
      var waits = [
        pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: resizes.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: modes == nil ? -1 : STDIN_FILENO, events: Int16(POLLIN), revents: 0),
      ]
      let timeout = BootTime.now.duration(to: instant).millisecondsForTimeout
      let count = unsafe poll(&waits, nfds_t(waits.count), timeout)
      if shutdown.isRequested { return .quit }
      if count == 0 { return .onTime }
      if waits[2].revents != 0, isQuitKey() { return .quit }
      if waits[1].revents != 0 {
        var information = [UInt8](repeating: 0, count: MemoryLayout<signalfd_siginfo>.size)
        _ = try? resizes.read(over: &information, from: 0)
        return .resized
      }
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
