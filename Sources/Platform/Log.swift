import CLinux
import Glibc
import WireFormats

/// A log in the formats and levels of AWS Lambda's logging controls.
///
/// `AWS_LAMBDA_LOG_FORMAT` (`Text` or `JSON`) and `AWS_LAMBDA_LOG_LEVEL` select them; see "Configuring advanced logging
/// controls" in the Lambda developer guide. One event is one line: control characters in a message are escaped, so that a
/// name or an error text from outside can't forge a log line.
///
/// Any thread may write to it. A line may have fields:
///
/// ```swift
/// log.info("Resized a picture.", ["key": .string(key), "bytes": .integer(size), "isNew": true])
/// ```
///
/// In JSON, each field is a member of the line's object. In text, the fields follow the message: `key=cat.png bytes=812 isNew=true`.
public final class Log: Sendable {
  /// The severity of a line, from the least to the most severe. `AWS_LAMBDA_LOG_LEVEL` has the same names, in upper case.
  public enum Level: Int, Comparable, CaseIterable, Sendable {
    /// The steps of a computation, in all detail.
    case trace
    /// What helps to find an error.
    case debug
    /// An ordinary event. The lowest level that is logged by default.
    case info
    /// A problem that the program works around.
    case warn
    /// A failure, for example of an invocation.
    case error
    /// A failure that ends the program.
    case fatal

    package var name: String { String(describing: self).uppercased() }

    /// Returns whether the left level is less severe than the right one.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  /// The format of the lines, as `AWS_LAMBDA_LOG_FORMAT` names them.
  public enum Format: Sendable {
    /// Level, time, request ID and message, separated by tabs.
    case text
    /// A JSON object.
    case json
  }

  /// The lowest level that is logged.
  public let level: Level
  package let format: Format
  /// The request id of the current invocation, which each line carries; nil between invocations.
  ///
  /// A log from ``ofInvocation(_:)`` always has the same one.
  package var requestID: String? {
    get { ownRequestID ?? shared.requestID }
    set { shared.requestID = newValue }
  }
  /// The descriptor that all lines go to; nil if the log writes to a closure or to two descriptors.
  package let descriptor: Int32?
  /// Whether lines are written as telemetry frames.
  package let isFramed: Bool
  /// Whether other processes write to the same pipe. If so, a line is split into pieces that the pipe accepts atomically.
  package var sharesPipe: Bool {
    get { shared.sharesPipe }
    set { shared.sharesPipe = newValue }
  }
  private let ownRequestID: String?
  private let shared: LogState

  /// Creates a log that passes each line of `level` or above, including its line feed, to `write`.
  package init(level: Level = .info, format: Format = .text, write: @escaping (Level, [UInt8]) -> Void) {
    self.level = level
    self.format = format
    shared = LogState(.closure(write))
    descriptor = nil
    isFramed = false
    ownRequestID = nil
  }

  /// Creates a log that passes each line of `level` or above to `write`, without its line feed, for example to check it in a unit test.
  ///
  /// Any thread that logs calls `write`, but only one at a time. `write` must not log to this log.
  ///
  /// ```swift
  /// let lines = Mutex<[String]>([])
  /// let log = Log { line in lines.withLock { $0.append(line) } }
  /// ```
  public convenience init(
    level: Level = .info, format: Format = .text, write: @escaping @Sendable (_ line: String) -> Void
  ) {
    self.init(level: level, format: format) { _, bytes in
      write(String(decoding: bytes.dropLast(), as: UTF8.self))
    }
  }

  /// Creates a log that writes to a descriptor, in telemetry frames if `isFramed`.
  package init(level: Level, format: Format, descriptor: Int32, isFramed: Bool) {
    self.level = level
    self.format = format
    self.descriptor = descriptor
    self.isFramed = isFramed
    shared = LogState(.output(LogOutput(descriptor)))
    ownRequestID = nil
  }

  /// Creates a log that writes lines below `WARN` to standard output and the rest to standard error.
  private init(onStandardDescriptors level: Level, _ format: Format) {
    self.level = level
    self.format = format
    descriptor = nil
    isFramed = false
    shared = LogState(.split(LogOutput(STDOUT_FILENO), LogOutput(STDERR_FILENO)))
    ownRequestID = nil
  }

  private init(_ log: Log, requestID: String) {
    level = log.level
    format = log.format
    descriptor = log.descriptor
    isFramed = log.isFramed
    shared = log.shared
    ownRequestID = requestID
  }

  /// Returns a log that writes to the same place, but whose lines carry `requestID` even after that invocation.
  package func ofInvocation(_ requestID: String) -> Log { Log(self, requestID: requestID) }

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
    shared.becomeDaemonLog(
      isJournal: descriptor.map { isJournalStream($0, environment.value("JOURNAL_STREAM")) } ?? false)
  }

  /// Writes a line of the level `trace`. The message isn't evaluated if the level is below ``level``; that applies to all levels.
  public func trace(_ message: @autoclosure () -> String) { writeLine(.trace, message) }
  /// Writes a line of the level `debug`.
  public func debug(_ message: @autoclosure () -> String) { writeLine(.debug, message) }
  /// Writes a line of the level `info`.
  public func info(_ message: @autoclosure () -> String) { writeLine(.info, message) }
  /// Writes a line of the level `warn`.
  public func warn(_ message: @autoclosure () -> String) { writeLine(.warn, message) }
  /// Writes a line of the level `error`.
  public func error(_ message: @autoclosure () -> String) { writeLine(.error, message) }

  /// Writes a line of the given level, with fields.
  ///
  /// The message and the fields aren't evaluated if the level is below ``level``.
  ///
  /// In JSON, a field gets the prefix `_` if its name is already that of another member: of an earlier field, or `timestamp`, `level`,
  /// `message` or `requestId`, which each line has.
  ///
  /// A message is cut after 32,768 bytes. Message, names and values together have at most 40,960 bytes: the last value that begins within
  /// them is cut, too. The original length follows in parentheses. The field `omittedFields` counts the fields after that, and those after
  /// the 100th.
  public func log(
    _ level: Level, _ message: @autoclosure () -> String,
    _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]
  ) {
    guard level >= self.level else { return }
    write(message(), fields().map { ($0.key, $0.value) }, level)
  }

  /// Does the same with fields in an array.
  package func log(
    _ level: Level, _ message: @autoclosure () -> String, fields: @autoclosure () -> [(String, LogValue)]
  ) {
    guard level >= self.level else { return }
    write(message(), fields(), level)
  }

  // Overloads instead of a default argument, which would make each call without fields longer.

  /// Writes a line of the level `trace` with fields.
  public func trace(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue>
  ) {
    log(.trace, message(), fields())
  }
  /// Writes a line of the level `debug` with fields.
  public func debug(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue>
  ) {
    log(.debug, message(), fields())
  }
  /// Writes a line of the level `info` with fields.
  public func info(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue>
  ) {
    log(.info, message(), fields())
  }
  /// Writes a line of the level `warn` with fields.
  public func warn(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue>
  ) {
    log(.warn, message(), fields())
  }
  /// Writes a line of the level `error` with fields.
  public func error(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue>
  ) {
    log(.error, message(), fields())
  }

  private func writeLine(_ level: Level, _ message: () -> String) {
    guard level >= self.level else { return }
    write(message(), [], level)
  }

  private func write(_ message: String, _ fields: [(String, LogValue)], _ level: Level) {
    let text = bounded(message, to: maximumMessageBytes)
    let fields =
      fields.isEmpty ? [] : bounded(fields, to: max(0, maximumLineBytes - text.utf8.count))
    let line = LogLine(
      level: level, format: format, isFramed: isFramed, requestID: requestID, text: text, fields: fields)
    // A lost line had passed the level filter, so the note about it must pass it, too.
    shared.write(
      line, noteLevel: max(.warn, self.level), filtersRepeats: level >= .warn && self.level > .debug)
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

/// The limits of a line. CloudWatch accepts 256 KB per event, and an escape in JSON has up to six bytes for one.
private let maximumMessageBytes = 32_768
private let maximumLineBytes = 40_960
private let maximumFields = 100

/// Returns as many of the first `fields` as fit in `limit` bytes, with a string truncated if necessary. If any are left out, the last field
/// says how many.
private func bounded(_ fields: [(String, LogValue)], to limit: Int) -> [(String, LogValue)] {
  var left = limit
  var kept: [(String, LogValue)] = []
  for (name, value) in fields {
    guard kept.count < maximumFields, name.utf8.count <= left else { break }
    left -= name.utf8.count
    if case .string(let text) = value {
      kept.append((name, .string(bounded(text, to: left))))
      left = max(0, left - text.utf8.count)
    } else {
      kept.append((name, value))
    }
  }
  if kept.count < fields.count { kept.append(("omittedFields", .integer(fields.count - kept.count))) }
  return kept
}

/// Returns `text` with its control characters escaped as `\n`, `\t`, `\u{1b}` and so on.
package func escapingControlCharacters(_ text: String) -> String {
  replacingControlCharacters(text) { $0.escaped(asASCII: true) }
}

/// Returns `text` with each control character, line separator and paragraph separator replaced by the result of
/// `replacement`.
func replacingControlCharacters(
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
