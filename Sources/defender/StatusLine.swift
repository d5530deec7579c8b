import CLinux
import Glibc
import Platform
import WireFormats

/// One line on a terminal that is written over and over; nothing where there is no terminal.
final class StatusLine {
  private let descriptor: Int32
  private let isTerminal: Bool
  private var isShown = false

  init(on descriptor: Int32) {
    self.descriptor = descriptor
    isTerminal = canMoveCursor(on: descriptor, .ofThisProcess)
  }

  /// Writes `text` in place of what the line says.
  func show(_ text: String) {
    guard isTerminal else { return }
    let width = TerminalSize(of: descriptor).columns
    write("\r\u{1B}[K\(escapingControlCharacters(text).prefix(max(width - 1, 1)))")
    isShown = true
  }

  /// Empties the line, so that something else can be written there.
  func clear() {
    guard isShown else { return }
    write("\r\u{1B}[K")
    isShown = false
  }

  /// Waits until `instant`, and says meanwhile what `text` makes of the seconds that are left; returns false where the
  /// process is asked to stop.
  func wait(until instant: BootTime, _ time: SystemTime, _ text: (Int) -> String) -> Bool {
    while isTerminal {
      let left = time.bootTime.duration(to: instant).inSeconds
      if left <= 1 { break }
      show(text(Int(left.rounded())))
      let wake = time.sleep(until: time.bootTime.advanced(by: .seconds(1)))
      if wake == .shutdown { return false }
    }
    show(text(1))
    return time.sleep(until: instant) == .onTime
  }

  /// The log that the environment asks for, whose lines don't get into this one.
  func log(_ environment: Environment) -> Log {
    let asked = Log(environment)
    return Log(level: asked.level, format: asked.format) { [self] _, line in
      clear()
      // A log that can't be written has nobody left to tell.
      try? writeAll(line, to: STDERR_FILENO)
    }
  }

  private func write(_ text: String) {
    // Nobody is left to tell that nobody looks.
    try? writeAll(Array(text.utf8), to: descriptor)
  }
}

/// How many characters fit on a terminal.
struct TerminalSize: Equatable {
  var rows: Int
  var columns: Int

  /// The size of the terminal behind a descriptor; 24 by 80 where it doesn't say.
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

/// Whether there is a terminal behind a descriptor, and one that knows escape sequences (ECMA-48).
func canMoveCursor(on descriptor: Int32, _ environment: Environment) -> Bool {
  isatty(descriptor) == 1 && environment.value("TERM") != "dumb"
}

/// Whether the environment's locale has characters beyond ASCII (locale(7)).
func usesUnicode(_ environment: Environment) -> Bool {
  let locale = environment.value("LC_ALL", "LC_CTYPE", "LANG") ?? ""
  return locale.lowercased().includes("utf-8") || locale.lowercased().includes("utf8")
}
