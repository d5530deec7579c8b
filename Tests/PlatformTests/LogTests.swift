import Glibc
import Platform
import Synchronization
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

  @Test func `passes its lines as text, without a line feed, to a closure`() {
    let lines = Mutex<[String]>([])
    let log = Log(level: .warn) { line in lines.withLock { $0.append(line) } }
    log.info("dropped")
    log.ofInvocation("id-1").error("kept", ["n": 1])
    let all = lines.withLock { $0 }
    #expect(all.count == 1)
    #expect(all.first?.hasPrefix("[ERROR]\t") == true && all.first?.hasSuffix("\tid-1\tkept n=1") == true)
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

@Suite struct `The fields of a log line` {
  private func line(_ format: Log.Format, _ write: (Log) -> Void) throws -> String {
    var lines: [String] = []
    write(Log(level: .debug, format: format) { lines.append(String(decoding: $1, as: UTF8.self)) })
    return try #require(lines.first)
  }

  @Test func `are members of its object in JSON`() throws {
    let line = try line(.json) { log in
      log.info(
        "hello",
        ["text": "a \"b\"\u{85}\n", "minus": -7, "half": 0.5, "flag": true, "none": .number(.infinity)])
    }
    let document = try JSONValue(parsing: Array(line.utf8))
    #expect(document["message"]?.string == "hello")
    #expect(document["text"]?.string == "a \"b\"\u{85}\n")
    #expect(document["minus"]?.integer() == -7)
    #expect(document["half"]?.double == 0.5)
    #expect(document["flag"]?.boolean == true)
    #expect(document["none"] == .null)
    #expect(line.unicodeScalars.count { $0 == "\n" } == 1)
  }

  @Test func `follow its message in text, in one line`() throws {
    let line = try line(.text) { log in
      log.error(
        "hello",
        ["text": "a b", "word": "c", "empty": "", "pair": "d=e", "break": "f\ng", "n": 1, "x": false])
    }
    #expect(
      line.hasSuffix(#"hello text="a b" word=c empty="" pair="d=e" break="f\ng" n=1 x=false"# + "\n"),
      "\(line)")
    #expect(line.hasPrefix("[ERROR]"))
  }

  @Test(arguments: ["timestamp", "level", "message", "requestId"])
  func `can't replace a member that each line has`(name: String) throws {
    let line = try line(.json) { $0.log(.fatal, "hello", fields: [(name, "forged")]) }
    let document = try JSONValue(parsing: Array(line.utf8))
    #expect(document["_\(name)"]?.string == "forged")
    #expect(document["level"]?.string == "FATAL" && document["message"]?.string == "hello")
  }

  @Test func `have names that differ from each other`() throws {
    let line = try line(.json) { log in
      log.info("hello", ["logger": "a", "logger": "b", "_level": "c", "level": "d", "logger": "e"])
    }
    let names = try JSONValue(parsing: Array(line.utf8)).members?.map(\.name)
    #expect(
      names == [
        "timestamp", "level", "message", "logger", "_logger", "_level", "__level", "__logger",
      ])
  }

  @Test(arguments: [Log.Format.text, .json], [20, 2_000_000])
  func `are cut if the line becomes too long, and say so`(format: Log.Format, message: Int) throws {
    let long = String(repeating: "\u{1}", count: 1_000_000)
    let line = try line(format) { log in
      log.info(
        String(repeating: "\u{1}", count: message), ["short": "kept", "long": "\(long)", "a": 1, "b": 2])
    }
    // The limit of CloudWatch, less its own 26 bytes.
    #expect(line.utf8.count <= 262_118)
    #expect(line.contains("kept") && line.contains("… (1000000 bytes)"))
    guard format == .json else { return #expect(line.hasSuffix("omittedFields=2\n")) }
    let document = try JSONValue(parsing: Array(line.utf8))
    #expect(document["omittedFields"]?.integer() == 2)
    #expect(document["a"] == nil)
  }

  @Test func `are at most a hundred`() throws {
    let fields = (0..<300).map { ("field\($0)", LogValue.integer($0)) }
    let line = try line(.json) { $0.log(.info, "hello", fields: fields) }
    let members = try JSONValue(parsing: Array(line.utf8)).members
    #expect(members?.count == 3 + 100 + 1)
    #expect(members?.last?.name == "omittedFields" && members?.last?.value.integer() == 200)
  }

  @Test func `aren't evaluated below the level`() throws {
    let log = Log(level: .error) { _, _ in }
    var count = 0
    func value() -> LogValue {
      count += 1
      return "x"
    }
    log.warn("hello", ["field": value()])
    log.log(.warn, "hello", ["field": value()])
    log.log(.warn, "hello", fields: [("field", value())])
    #expect(count == 0)
    log.error("hello", ["field": value()])
    log.log(.error, "hello", ["field": value()])
    log.log(.fatal, "hello", fields: [("field", value())])
    #expect(count == 3)
  }

  @Test func `become text in a line that is too long for a shared pipe`() throws {
    var lines: [[UInt8]] = []
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/log"
    let descriptor = FileDescriptor(owning: unsafe creat(path, 0o600))
    let log = Log(level: .info, format: .json, descriptor: descriptor.rawValue, isFramed: false)
    log.sharesPipe = true
    log.info("hello", ["long": .string(String(repeating: "x", count: 10_000))])
    log.info("hello", ["short": 1])
    lines = try readFile(path, limit: 1 << 20).split(separator: UInt8(ascii: "\n")).map(Array.init)
    #expect(lines.count > 3 && lines.allSatisfy { $0.count < PIPE_BUF })
    let text = try lines.map { try JSONValue(parsing: $0)["message"]?.string ?? "" }
    #expect(text.first?.hasPrefix("hello long=xxx") == true)
    #expect(try JSONValue(parsing: try #require(lines.last))["short"]?.integer() == 1)
  }
}

@Suite struct `A log that several threads use` {
  @Test func `writes each line in one piece, with the ID of its invocation`() async throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/log"
    let descriptor = FileDescriptor(owning: unsafe creat(path, 0o600))
    let log = Log(level: .info, format: .text, descriptor: descriptor.rawValue, isFramed: false)
    log.requestID = "current"
    await withTaskGroup { group in
      for thread in 0..<8 {
        group.addTask {
          let own = log.ofInvocation("id-\(thread)")
          for _ in 0..<50 { own.info("from \(thread)") }
        }
      }
    }
    log.info("at the end")
    let lines = String(decoding: try readFile(path, limit: 1 << 20), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 401)
    for thread in 0..<8 { #expect(lines.count { $0.hasSuffix("\tid-\(thread)\tfrom \(thread)") } == 50) }
    #expect(lines.last?.hasSuffix("\tcurrent\tat the end") == true)
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
