import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of what `defender invoke` and `defender emulator` show of a function.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The local Lambda` {
  @Test(arguments: [([], false), (["--log-lines", "raw"], false), (["--log-lines", "readable"], true)])
  func `invoke passes a JSON log on unless standard error is a terminal or an option asks for plain lines`(
    options: [String], isReadable: Bool
  ) async throws {
    let run = try await BuiltProgram("defender").run(
      ["invoke"] + options, environment: ["AWS_LAMBDA_LOG_FORMAT": "JSON"])
    #expect(run.status == .code(0))
    let id = try #require(run.errors.first?.split(separator: " ").dropFirst(2).first)
    let line = try #require(run.errors.first { $0.contains("Published report") })
    if isReadable {
      #expect(line.hasPrefix("[INFO]\t20") && line.split(separator: "\t").dropFirst(2).first == id, "\(line)")
      #expect(!run.errors.contains { $0.hasPrefix("{") })
    } else {
      #expect(try JSONValue(parsing: Array(line.utf8))["requestId"]?.string == String(id))
    }
  }

  @Test(arguments: [("auto", true), ("raw", false)])
  func `invoke shows a JSON log as plain lines on a terminal`(lines: String, isReadable: Bool) throws {
    let terminal = try PseudoTerminal(rows: 50, columns: 200)
    let bootstrap = try BuiltProgram("bootstrap").path
    try terminal.start(
      BuiltProgram("defender"), ["invoke", "--bootstrap", bootstrap, "--log-lines", lines],
      environment: ["AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_IOT_THING_NAME": "pump"])
    #expect(try terminal.wait() == 0, "\(terminal.output)")
    let shown = terminal.output.split(whereSeparator: \.isNewline)
    #expect(shown.contains { $0.hasPrefix("[INFO]\t20") } == isReadable, "\(terminal.output)")
    #expect(shown.contains { $0.hasPrefix(#"{"timestamp":"#) } != isReadable, "\(terminal.output)")
  }

  @Test func `invoke loses no line that isn't JSON`() async throws {
    let directory = try TemporaryDirectory()
    let lines = [
      "plain", "{not JSON", #"{"a":1}"#, #"{"message":"no level"}"#, #"["message"]"#, "", "\t{",
      #"{"level":"INFO","message":"a","message":"b"}"#,
    ]
    let function = try directory.write(
      "function", "#!/bin/sh\ncat <<'END' >&2\n\(lines.joined(separator: "\n"))\nEND\nexit 1\n")
    try #require(unsafe chmod(function, 0o700) == 0)
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--bootstrap", function, "--log-lines", "readable"])
    let shown = run.errors.filter { line in
      !["START ", "END ", "REPORT "].contains { line.hasPrefix($0) }
    }
    #expect(shown == lines)
  }

  @Test(
    arguments: [
      (["--bootstrap", "/nowhere"], "Check the path given with --bootstrap."),
      (["--bootstrap", "notes.txt"], "Make it executable with chmod +x"),
      ([], "Build it with `swift build --product bootstrap`, or choose another program with --bootstrap."),
    ], ["invoke", "emulator"])
  func `advises to build the bootstrap only if no program was named`(
    use: (options: [String], advice: String), command: String
  ) async throws {
    // Without a bootstrap beside it.
    let directory = try TemporaryDirectory()
    let alone = "\(directory.path)/defender"
    // A copy, because `defender` resolves links to itself.
    try directory.write("defender", try readFile(try BuiltProgram("defender").path, limit: 1 << 30))
    try #require(unsafe chmod(alone, 0o700) == 0)
    let notes = try directory.write("notes.txt", "")
    let options = use.options.map { $0 == "notes.txt" ? notes : $0 }
    let run = try await BuiltProgram(path: alone).run([command] + options)
    #expect(run.status == .code(2))
    #expect(run.errorText.contains(use.advice), "\(run.errorText)")
    #expect(run.errorText.contains("swift build") == use.options.isEmpty, "\(run.errorText)")
  }
}
