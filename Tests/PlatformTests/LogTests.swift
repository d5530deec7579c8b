import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `A log` {
  private final class Lines {
    var lines: [String] = []
  }

  private func log(_ level: Log.Level, _ format: Log.Format, to lines: Lines) -> Log {
    Log(level: level, format: format) { _, line in lines.lines.append(String(decoding: line, as: UTF8.self)) }
  }

  @Test func `writes messages of its level and above`() {
    let lines = Lines()
    let log = log(.warn, .text, to: lines)
    log.debug("one")
    log.info("two")
    log.warn("three")
    log.error("four")
    #expect(lines.lines.count == 2)
    #expect(lines.lines.first?.hasPrefix("[WARN]\t") == true)
    #expect(lines.lines.first?.hasSuffix("Z\tthree\n") == true)
  }

  @Test func `names the invocation, and keeps one message in one line`() {
    let lines = Lines()
    let log = log(.info, .text, to: lines)
    log.requestID = "id-1"
    log.info("a\nb\u{1B}[31m\u{2028}c")
    #expect(lines.lines.first?.hasSuffix("\tid-1\ta\\nb\\u{1B}[31m\\u{2028}c\n") == true)
  }

  @Test func `truncates a very long message`() {
    let lines = Lines()
    log(.info, .text, to: lines).info(String(repeating: "x", count: 3_000_000))
    #expect((lines.lines.first?.utf8.count ?? .max) < 40_000)
    #expect(lines.lines.first?.contains("(3000000 bytes)") == true)
  }

  @Test func `writes one JSON object per line`() throws {
    let lines = Lines()
    let log = log(.info, .json, to: lines)
    log.requestID = "id-1"
    // Some programs treat these characters as line ends, and a terminal treats one as the beginning of a command.
    let message = "line one\n\"two\"\u{7F}\u{85}\u{9B}31m\u{2028}\u{2029}\u{A0}é😀"
    log.error(message)
    let line = try #require(lines.lines.first)
    let ends: [Unicode.Scalar] = ["\u{7F}", "\u{85}", "\u{9B}", "\u{2028}", "\u{2029}"]
    #expect(!line.unicodeScalars.contains(where: ends.contains))
    #expect(line.unicodeScalars.count { $0 == "\n" } == 1)
    let value = try JSONValue(parsing: Array(line.utf8))
    #expect(value["level"]?.string == "ERROR")
    #expect(value["message"]?.string == message)
    #expect(value["requestId"]?.string == "id-1")
    #expect(value["timestamp"]?.string.flatMap(WallTime.init(iso8601:)) != nil)
  }

  @Test(
    arguments: [
      ([:], .info, .text), (["AWS_LAMBDA_LOG_LEVEL": "debug"], .debug, .text),
      (["AWS_LAMBDA_LOG_LEVEL": "ERROR", "AWS_LAMBDA_LOG_FORMAT": "JSON"], .error, .json),
      (["AWS_LAMBDA_LOG_LEVEL": "", "AWS_LAMBDA_LOG_FORMAT": ""], .info, .text),
    ] as [([String: String], Log.Level, Log.Format)])
  func `follows the environment`(
    variables: [String: String], level: Log.Level, format: Log.Format
  ) {
    let log = Log(Environment(variables))
    #expect(log.level == level)
    #expect(log.format == format)
  }
}

@Suite final class `Lines of a log that others write to as well` {
  private let directory: TemporaryDirectory
  private let pipe: UnreadPipe
  private let descriptor: FileDescriptor

  init() throws {
    directory = try TemporaryDirectory()
    pipe = try UnreadPipe(in: directory)
    _ = try pipe.drain()
    descriptor = FileDescriptor(owning: unsafe open(pipe.path, O_WRONLY | O_CLOEXEC))
    try #require(descriptor.rawValue >= 0)
  }

  private func log(_ format: Log.Format, isFramed: Bool = false) -> Log {
    let log = Log(level: .info, format: format, descriptor: descriptor.rawValue, isFramed: isFramed)
    log.sharesPipe = true
    log.requestID = "id-1"
    return log
  }

  /// Texts that become longer when encoded, by various factors.
  static let texts = [
    String(repeating: "x", count: 20_000), String(repeating: "\n", count: 5_000),
    String(repeating: "\u{2028}é😀\"", count: 2_000), String(repeating: "y", count: 3_950),
    String(repeating: "y", count: 4_096), "short",
  ]

  @Test(arguments: texts, [Log.Format.text, .json])
  func `are no longer than a pipe accepts atomically, and lose nothing`(text: String, format: Log.Format)
    throws
  {
    log(format).info(text)
    let lines = try pipe.drain().split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.allSatisfy { $0.utf8.count + 1 <= PIPE_BUF })
    let messages = try lines.map { line in
      guard format == .json else { return String(line.split(separator: "\t")[3]) }
      return try #require(try JSONValue(parsing: Array(line.utf8))["message"]?.string)
    }
    let whole = messages.enumerated().map { index, message in
      let start = index == 0 ? message : String(message.dropFirst("… ".count))
      return index == messages.count - 1 ? start : String(start.dropLast(" …".count))
    }.joined()
    #expect(whole == (format == .json ? text : escapingControlCharacters(text)))
    #expect(lines.count > 1 || text.utf8.count < PIPE_BUF)
  }

  @Test(arguments: [Log.Format.text, .json])
  func `fit with the head of their telemetry frame`(format: Log.Format) throws {
    for length in 3_900...4_100 {
      log(format, isFramed: true).info(String(repeating: "x", count: length))
      var rest = try pipe.drainBytes()[...]
      var frames = 0
      while rest.count >= 16 {
        let size = 16 + rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
        #expect(size <= PIPE_BUF)
        rest = rest.dropFirst(size)
        frames += 1
      }
      #expect(rest.isEmpty && (1...2).contains(frames))
    }
  }
}
