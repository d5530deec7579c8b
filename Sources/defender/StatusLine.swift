import CLinux
import Glibc
import Platform
import WireFormats

/// A line on a terminal that is updated in place; shows nothing if there is no terminal.
final class StatusLine {
  private let descriptor: Int32
  private let isTerminal: Bool
  private var isShown = false

  init(on descriptor: Int32) {
    self.descriptor = descriptor
    isTerminal = canMoveCursor(on: descriptor, .ofThisProcess)
  }

  /// Replaces the line's text.
  func show(_ text: String) {
    guard isTerminal else { return }
    let width = TerminalSize(of: descriptor).columns
    write("\r\u{1B}[K\(escapingControlCharacters(text).prefix(max(width - 1, 1)))")
    isShown = true
  }

  /// Clears the line, so that other text can be written there.
  func clear() {
    guard isShown else { return }
    write("\r\u{1B}[K")
    isShown = false
  }

  /// Waits until `instant` and shows `text`, which gets the seconds left. Returns false if the process is
  /// asked to stop.
  func wait(until instant: BootTime, _ time: SystemWaiter, _ text: (Int) -> String) -> Bool {
    while isTerminal {
      let left = time.bootTime.duration(to: instant).inSeconds
      if left <= 1 { break }
      show(text(Int(left.rounded())))
      let wake = time.wait(until: time.bootTime.advanced(by: .seconds(1)))
      if wake == .shutdown { return false }
    }
    show(text(1))
    return time.wait(until: instant) == .onTime
  }

  /// Returns the log that the environment configures. Its lines don't mix with this line.
  func log(_ environment: Environment) -> Log {
    let asked = Log(environment)
    return Log(level: asked.level, format: asked.format) { [self] _, line in
      clear()
      // If the log can't be written, there is nowhere to report that.
      try? writeAll(line, to: STDERR_FILENO)
    }
  }

  private func write(_ text: String) {
    // If the terminal can't be written to, there is nowhere to report that.
    try? writeAll(Array(text.utf8), to: descriptor)
  }
}

/// The size of a terminal in characters.
struct TerminalSize: Equatable {
  var rows: Int
  var columns: Int

  /// The size of the terminal at a descriptor; 24 by 80 if it is unknown.
  init(of descriptor: Int32) {
    var (rows, columns): (Int32, Int32) = (0, 0)
    let isKnown = unsafe clinux_terminal_size(descriptor, &rows, &columns) == 0 && rows > 0 && columns > 0
    self.init(rows: isKnown ? Int(rows) : 24, columns: isKnown ? Int(columns) : 80)
  }

  init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
  }
}

/// Returns whether the descriptor is a terminal that supports escape sequences (ECMA-48).
func canMoveCursor(on descriptor: Int32, _ environment: Environment) -> Bool {
  isatty(descriptor) == 1 && environment.value("TERM") != "dumb"
}

/// Returns whether text on the descriptor may be coloured or emphasized: on a terminal, unless NO_COLOR is set
/// (https://no-color.org).
func usesStyles(on descriptor: Int32, _ environment: Environment) -> Bool {
  canMoveCursor(on: descriptor, environment) && environment.value("NO_COLOR") == nil
}

/// Returns whether the environment's locale uses UTF-8 (locale(7)).
func usesUnicode(_ environment: Environment) -> Bool {
  let locale = environment.value("LC_ALL", "LC_CTYPE", "LANG") ?? ""
  return locale.lowercased().includes("utf-8") || locale.lowercased().includes("utf8")
}
