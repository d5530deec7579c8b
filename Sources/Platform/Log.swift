import CLinux
import Glibc
import WireFormats

/// A log in the formats and levels of AWS Lambda's logging controls.
///
/// `AWS_LAMBDA_LOG_FORMAT` (`Text` or `JSON`) and `AWS_LAMBDA_LOG_LEVEL` select them; see "Configuring advanced logging
/// controls" in the Lambda developer guide. One event is one line: control characters in a message are escaped, so that a
/// name or an error text from outside can't forge a log line.
public final class Log {
  package enum Level: Int, Comparable, CaseIterable, Sendable {
    case trace, debug, info, warn, error, fatal

    package var name: String { String(describing: self).uppercased() }

    package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  package enum Format: Sendable {
    case text, json
  }

  package let level: Level
  package let format: Format
  /// The request id of the current invocation, which each line carries; nil between invocations.
  package var requestID: String?
  /// The descriptor that all lines go to; nil if the log writes to a closure or to two descriptors.
  package let descriptor: Int32?
  /// Whether lines are written as telemetry frames.
  package let isFramed: Bool
  /// Whether other processes write to the same pipe. If so, a line is split into pieces that the pipe accepts atomically.
  package var sharesPipe = false
  private let destination: Destination
  /// Drops repeated warnings and errors; nil if all are logged.
  private var repeats: RepeatFilter?
  /// Whether ``descriptor`` is a stream to the systemd journal.
  private var isJournal = false

  private enum Destination {
    case closure((Level, [UInt8]) -> Void)
    case output(LogOutput)
    /// One output for lines below `WARN`, the other for the rest.
    case split(LogOutput, LogOutput)
  }

  /// Creates a log that passes each line of `level` or above, including its line feed, to `write`.
  package init(level: Level = .info, format: Format = .text, write: @escaping (Level, [UInt8]) -> Void) {
    self.level = level
    self.format = format
    destination = .closure(write)
    descriptor = nil
    isFramed = false
  }

  /// Creates a log that writes to a descriptor, in telemetry frames if `isFramed`.
  package init(level: Level, format: Format, descriptor: Int32, isFramed: Bool) {
    self.level = level
    self.format = format
    self.descriptor = descriptor
    self.isFramed = isFramed
    destination = .output(LogOutput(descriptor))
  }

  /// Creates a log that writes lines below `WARN` to standard output and the rest to standard error.
  private init(onStandardDescriptors level: Level, _ format: Format) {
    self.level = level
    self.format = format
    descriptor = nil
    isFramed = false
    destination = .split(LogOutput(STDOUT_FILENO), LogOutput(STDERR_FILENO))
  }

  /// Creates the log that the environment configures. It writes to the telemetry descriptor if Lambda provides one, and
  /// otherwise to standard error. It warns about each invalid setting.
  package convenience init(_ environment: Environment) {
    let levelText = environment.value("AWS_LAMBDA_LOG_LEVEL")
    let formatText = environment.value("AWS_LAMBDA_LOG_FORMAT")
    let level = levelText.map { text in Level.allCases.first { $0.name == text.uppercased() } } ?? .info
    let format: Format? =
      switch formatText?.lowercased() {
      case nil, "text": .text
      case "json": .json
      default: nil
      }
    let frames = environment.value("_LAMBDA_TELEMETRY_LOG_FD")
    let frameDescriptor = frames.flatMap { Int32($0) }.flatMap { isOpen($0) ? $0 : nil }
    self.init(
      level: level ?? .info, format: format ?? .text, descriptor: frameDescriptor ?? STDERR_FILENO,
      isFramed: frameDescriptor != nil)
    if let frames, frameDescriptor == nil {
      warn("_LAMBDA_TELEMETRY_LOG_FD is '\(frames)', not an open descriptor. Using standard error.")
    }
    if level == nil {
      let allowed = Level.allCases.map(\.name).joined(separator: ", ")
      warn("AWS_LAMBDA_LOG_LEVEL is '\(levelText ?? "")'; use one of \(allowed). Using INFO.")
    }
    if format == nil {
      warn("AWS_LAMBDA_LOG_FORMAT is '\(formatText ?? "")'; use Text or JSON. Using Text.")
    }
  }

  /// Creates the log of a Greengrass component, with the level and the format that the environment configures.
  ///
  /// The nucleus logs standard output as INFO and standard error as WARN.
  package static func ofComponent(_ environment: Environment) -> Log {
    let asked = Log(environment)
    return Log(onStandardDescriptors: asked.level, asked.format)
  }

  /// Prepares the log for a process that runs for months, possibly as a systemd service.
  ///
  /// From now on, the same warning or error is logged once within four minutes, unless the level is `debug` or `trace`.
  /// If the descriptor is the stream to the journal that `JOURNAL_STREAM` names (systemd.exec(5)), each line begins with
  /// its priority, such as `<4>`.
  package func becomeDaemonLog(_ environment: Environment) {
    repeats = RepeatFilter(interval: .seconds(240))
    isJournal = descriptor.map { isJournalStream($0, environment.value("JOURNAL_STREAM")) } ?? false
  }

  public func debug(_ message: @autoclosure () -> String) { log(.debug, message) }
  public func info(_ message: @autoclosure () -> String) { log(.info, message) }
  public func warn(_ message: @autoclosure () -> String) { log(.warn, message) }
  public func error(_ message: @autoclosure () -> String) { log(.error, message) }

  private func log(_ level: Level, _ message: () -> String) {
    guard level >= self.level else { return }
    let text = bounded(message())
    if level >= .warn, self.level > .debug, repeats?.allows(text, at: .now) == false { return }
    switch destination {
    case .closure(let write): write(level, line(level, text))
    case .output(let output): write(text, level, to: output)
    case .split(let calm, let grave): write(text, level, to: level < .warn ? calm : grave)
    }
  }

  private func write(_ text: String, _ level: Level, to output: LogOutput) {
    for piece in sharesPipe ? pieces(of: text, level) : [text] {
      output.write(encoded(level, piece)) { lines, reason in
        let cause = reason == .wouldBlock ? "nobody read the log" : "the log could not be written: \(reason)"
        // The lost lines had passed the level filter, so this one must pass it, too.
        let level = max(.warn, self.level)
        return encoded(level, "Lost \(lines) log line\(lines == 1 ? "" : "s"): \(cause).")
      }
    }
  }

  /// Splits `text` into pieces whose encoded form the kernel writes to a pipe atomically, without bytes of other writers
  /// in between (pipe(7)).
  private func pieces(of text: String, _ level: Level) -> [String] {
    let limit = Int(PIPE_BUF)
    // Measured instead of computed: escapes lengthen a text, and by how much depends on the format.
    if encoded(level, text).count <= limit { return [text] }
    var pieces = [text.unicodeScalars[...]]
    var index = 0
    while index < pieces.count {
      let piece = pieces[index]
      guard piece.count > 1, encoded(level, "… \(Substring(piece)) …").count > limit else {
        index += 1
        continue
      }
      let middle = piece.index(piece.startIndex, offsetBy: piece.count / 2)
      pieces.replaceSubrange(index...index, with: [piece[..<middle], piece[middle...]])
    }
    return pieces.enumerated().map { index, piece in
      (index > 0 ? "… " : "") + String(piece) + (index < pieces.count - 1 ? " …" : "")
    }
  }

  /// Returns the bytes to write for a message.
  private func encoded(_ level: Level, _ text: String) -> [UInt8] {
    let line = line(level, text)
    if isJournal { return level.journalPriority + line }
    return isFramed ? telemetryFrame(line.dropLast(1), level: level, format: format, at: .now) : line
  }

  private func line(_ level: Level, _ text: String) -> [UInt8] {
    let time = CivilTime(.now).extendedFormat
    switch format {
    case .text:
      let id = requestID.map { "\t" + escapingControlCharacters($0) } ?? ""
      return Array("[\(level.name)]\t\(time)\(id)\t\(escapingControlCharacters(text))\n".utf8)
    case .json:
      var line = JSONWriter()
      line.beginMap(count: requestID == nil ? 3 : 4)
      line.key("timestamp")
      line.string(time)
      line.key("level")
      line.string(level.name)
      line.key("message")
      line.string(text)
      if let requestID {
        line.key("requestId")
        line.string(requestID)
      }
      line.endMap()
      // JSON doesn't escape control characters beyond ASCII. They occur only inside strings, so an escape is equivalent.
      let json = replacingControlCharacters(String(decoding: line.bytes, as: UTF8.self)) { scalar in
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
      }
      return Array("\(json)\n".utf8)
    }
  }
}

extension Log.Level {
  /// The priority that precedes a line in the journal (sd-daemon(3)).
  fileprivate var journalPriority: [UInt8] {
    let priority =
      switch self {
      case .trace, .debug: 7
      case .info: 6
      case .warn: 4
      case .error: 3
      case .fatal: 2
      }
    return Array("<\(priority)>".utf8)
  }
}

/// Returns whether a descriptor is the stream that `JOURNAL_STREAM` names: its device and inode, in decimal with a colon
/// between them.
///
/// A program may inherit the variable and have its output redirected, so the variable alone proves nothing.
package func isJournalStream(_ descriptor: Int32, _ name: String?) -> Bool {
  guard let name else { return false }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else { return false }
  return name == "\(status.st_dev):\(status.st_ino)"
}

private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

/// Returns `text`, truncated if it is longer than a log line may be: CloudWatch accepts 256 KB per event, escapes
/// included.
private func bounded(_ text: String) -> String {
  let limit = 32_768
  guard text.utf8.count > limit else { return text }
  return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "… (\(text.utf8.count) bytes)"
}

/// Returns `text` with its control characters escaped as `\n`, `\t`, `\u{1b}` and so on.
package func escapingControlCharacters(_ text: String) -> String {
  replacingControlCharacters(text) { $0.escaped(asASCII: true) }
}

/// Returns `text` with each control character, line separator and paragraph separator replaced by the result of
/// `replacement`.
private func replacingControlCharacters(
  _ text: String, _ replacement: (Unicode.Scalar) -> String
) -> String {
  var escaped = ""
  for scalar in text.unicodeScalars {
    let isControl =
      scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
    escaped += isControl ? replacement(scalar) : String(Character(scalar))
  }
  return escaped
}
