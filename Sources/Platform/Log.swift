import Glibc
import WireFormats

/// Log lines, in the formats and levels of AWS Lambda's logging controls.
///
/// `AWS_LAMBDA_LOG_FORMAT` (`Text` or `JSON`) and `AWS_LAMBDA_LOG_LEVEL` choose; see "Configuring advanced logging
/// controls" in the Lambda developer guide. One event is one line: control characters in a message are escaped, so
/// that nobody who chooses a name or an error text can write a line of their own.
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
  /// The invocation that lines belong to, while there is one.
  package var requestID: String?
  /// Where the lines go; nil where a closure takes them.
  package let descriptor: Int32?
  /// Whether lines go out as telemetry frames.
  package let isFramed: Bool
  private let write: (Level, [UInt8]) -> Void

  /// A log that hands each line that is `level` or above, line feed included, to `write`.
  package init(level: Level = .info, format: Format = .text, write: @escaping (Level, [UInt8]) -> Void) {
    self.level = level
    self.format = format
    self.write = write
    descriptor = nil
    isFramed = false
  }

  /// A log that writes to a descriptor, in frames where somebody takes the lines from it that way.
  package init(level: Level, format: Format, descriptor: Int32, isFramed: Bool) {
    self.level = level
    self.format = format
    self.descriptor = descriptor
    self.isFramed = isFramed
    write = { level, line in
      let bytes =
        isFramed ? telemetryFrame(line.dropLast(1), level: level, format: format, at: .now) : line
      // A log that can't be written has nobody left to tell.
      try? writeAll(bytes, to: descriptor)
    }
  }

  /// The log that the environment asks for, on standard error; what it asks for in vain is a warning in it.
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
      warn("AWS_LAMBDA_LOG_LEVEL is '\(levelText ?? "")'; allowed are \(allowed). Using INFO.")
    }
    if format == nil {
      warn("AWS_LAMBDA_LOG_FORMAT is '\(formatText ?? "")'; allowed are Text and JSON. Using Text.")
    }
  }

  /// The log of a Greengrass component, at the level and in the format that the environment asks for: the nucleus files
  /// standard output as INFO and standard error as WARN.
  package static func ofComponent(_ environment: Environment) -> Log {
    let asked = Log(environment)
    return Log(level: asked.level, format: asked.format) { level, line in
      // A log that can't be written has nobody left to tell.
      try? writeAll(line, to: level < .warn ? STDOUT_FILENO : STDERR_FILENO)
    }
  }

  public func debug(_ message: @autoclosure () -> String) { log(.debug, message) }
  public func info(_ message: @autoclosure () -> String) { log(.info, message) }
  public func warn(_ message: @autoclosure () -> String) { log(.warn, message) }
  public func error(_ message: @autoclosure () -> String) { log(.error, message) }

  private func log(_ level: Level, _ message: () -> String) {
    guard level >= self.level else { return }
    let text = bounded(message())
    let time = CivilTime(.now).extendedFormat
    switch format {
    case .text:
      let id = requestID.map { "\t" + escapingControlCharacters($0) } ?? ""
      write(level, Array("[\(level.name)]\t\(time)\(id)\t\(escapingControlCharacters(text))\n".utf8))
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
      // JSON leaves those beyond ASCII as they are. They stand in texts only, where an escape says the same.
      let json = replacingControlCharacters(String(decoding: line.bytes, as: UTF8.self)) { scalar in
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
      }
      write(level, Array("\(json)\n".utf8))
    }
  }
}

private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

/// `text`, cut where it is longer than a log line may be: CloudWatch takes 256 KB an event, escapes included.
private func bounded(_ text: String) -> String {
  let limit = 32_768
  guard text.utf8.count > limit else { return text }
  return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "… (\(text.utf8.count) bytes)"
}

/// `text` with its control characters written as `\n`, `\t`, `\u{1b}` and so on.
package func escapingControlCharacters(_ text: String) -> String {
  replacingControlCharacters(text) { $0.escaped(asASCII: true) }
}

/// `text` with what `replacement` makes of each control character, separators of lines and paragraphs among them.
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
