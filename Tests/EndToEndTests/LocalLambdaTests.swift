import Foundation
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

  // MARK: emulator --iot-port

  /// Returns the command in docs/tools.md that begins with `.build/debug/defender` and `name`, without that.
  private func command(_ name: String) throws -> Substring {
    let page = String(decoding: try fileContents("\(fixturePath("../.."))/docs/tools.md"), as: UTF8.self)
    let start = "$ .build/debug/defender \(name) "
    let line = try #require(page.split(separator: "\n").last { $0.hasPrefix(start) })
    return line.dropFirst(start.count)
  }

  @Test func `publishes to the local endpoint with the commands of docs/tools.md`() async throws {
    let directory = try TemporaryDirectory()
    let arguments = try command("emulator").split(separator: " ").map { Int($0) == nil ? String($0) : "0" }
    #expect(arguments == ["--port", "0", "--iot-port", "0"])
    let emulator = try startEmulator(arguments, in: directory)
    let names = emulator.pasted.split(separator: "\n").map { line in
      line.dropFirst("  export ".count).prefix { $0 != "=" }
    }
    #expect(
      names == [
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "AWS_CA_BUNDLE", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
      ])
    let publish = "'\(try BuiltProgram("defender").path)' publish \(try command("publish"))"
    let run = try await paste(emulator.pasted, publish)
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(run.output.contains(#""status": 200"#), "\(run.output)")
    // A message of the maximum size has several TLS records in each direction.
    try directory.write("large", [UInt8](repeating: 0x61, count: 131_072))
    let large = try await paste(
      emulator.pasted,
      "'\(try BuiltProgram("defender").path)' publish --topic t --payload-file '\(directory.path)/large'")
    #expect(large.status == .code(0), "\(large.errorText)")
    emulator.program.stop()
    let log = String(decoding: try fileContents(emulator.log), as: UTF8.self)
    #expect(
      log.contains("Published to defender/test (17 bytes, QoS 1); the request's signature was verified:"))
    #expect(log.contains("(131072 bytes, QoS 1)"))
    // Nothing is left behind.
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(left.sorted() == ["large", "log"])
  }

  @Test(
    arguments: [
      ("unset AWS_CA_BUNDLE", 3, "certificate"),
      ("AWS_SECRET_ACCESS_KEY=wrong", 1, "signature we calculated"),
      (
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE=http://${AWS_ENDPOINT_URL_IOT_DATA_PLANE#https://}", 3, "Empty reply"
      ),
      ("AWS_REGION=us-east-1", 1, "valid region"),
    ] as [(String, Int32, String)])
  func `the local endpoint accepts nothing without TLS or with another signature`(
    change: String, status: Int32, words: String
  ) async throws {
    let directory = try TemporaryDirectory()
    let emulator = try startEmulator(["--port", "0", "--iot-port", "0"], in: directory)
    let publish = "'\(try BuiltProgram("defender").path)' publish --topic t --timeout 20"
    let run = try await paste(emulator.pasted, "\(change)\n\(publish)")
    #expect(run.status == .code(status), "\(run.errorText)")
    #expect(run.errorText.contains(words), "\(run.errorText)")
    // It still serves the next client.
    #expect(try await paste(emulator.pasted, publish).status == .code(0))
  }

  @Test func `names --iot-port if it can't listen on that port, and writes no key to disk`() async throws {
    let server = try LoopbackServer(script: [])
    let run = try await BuiltProgram("defender").run(
      ["emulator", "--port", "0", "--iot-port", "\(server.port)"])
    #expect(run.status == .code(2))
    #expect(run.errorText.contains("Choose another port with --iot-port"), "\(run.errorText)")
    let directory = try TemporaryDirectory()
    let emulator = try startEmulator(["--port", "0", "--iot-port", "0"], in: directory)
    let file = try #require(emulator.pasted.split(separator: "AWS_CA_BUNDLE=").last?.prefix { !$0.isNewline })
    let text = String(decoding: try fileContents(String(file)), as: UTF8.self)
    #expect(text.hasPrefix("-----BEGIN CERTIFICATE-----\n") && !text.contains("KEY"))
    #expect(file.hasPrefix("\(directory.path)/defender-emulator-"))
  }
}
