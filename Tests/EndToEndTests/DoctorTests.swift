import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built `defender doctor` as a user and a script run it.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `defender doctor` {
  private func variables() throws -> [String: String] {
    [
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TOPIC": "defender/{thing}",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://127.0.0.1:\(try freePort())",
      "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2",
    ]
  }

  @Test func `doctor exits with the number of failures, and never shows the secret`() async throws {
    let run = try await BuiltProgram("defender").run(["doctor"], environment: variables())
    #expect(run.status == .code(1))
    let lines = run.output.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("failed   TCP ") })
    #expect(lines.last?.hasSuffix(" 1 failed, 4 skipped") == true)
    #expect(!(run.output + run.errorText).contains("hunter2"))
    // Three errors, and no credentials.
    let nothing = try await BuiltProgram("defender").run(
      ["doctor"], environment: ["DEFENDER_FORMAT": "xml"])
    #expect(nothing.status == .code(4))
  }

  @Test func `doctor shows each finding when its check is done`() async throws {
    // Doctor waits up to a minute for a program that prints nothing.
    let directory = try TemporaryDirectory()
    let config = try directory.write(
      "config", Array("[default]\ncredential_process = exec tail -f /dev/null\n".utf8))
    let terminal = try PseudoTerminal(rows: 24, columns: 200)
    var environment = try variables()
    environment["AWS_ACCESS_KEY_ID"] = nil
    environment["AWS_SECRET_ACCESS_KEY"] = nil
    environment["AWS_CONFIG_FILE"] = config
    environment["NO_COLOR"] = "1"
    try terminal.start(
      try BuiltProgram("defender"), ["doctor", "--timeout", "600"], environment: environment)
    try terminal.read(until: { $0.contains("ok       configuration") })
    #expect(!terminal.output.contains(" credentials "))
    try terminal.type("\u{3}")
    #expect(try terminal.wait() == 128 + SIGINT)
  }

  @Test func `doctor prints JSON for scripts`() async throws {
    let run = try await BuiltProgram("defender").run(["doctor", "--json"], environment: variables())
    #expect(run.status == .code(1))
    let document = try JSONValue(parsing: Array(run.output.utf8))
    #expect(document["failed"]?.integer(as: Int.self) == 1)
    guard case .array(let checks)? = document["checks"] else { return #expect(document == .null) }
    let failed = checks.first { $0["status"]?.string == "failed" }
    #expect(failed?["check"]?.string == "TCP")
    #expect(failed?["advice"]?.string?.contains("firewall") == true)
  }

  @Test(arguments: [false, true])
  func `doctor takes the agent's options, also from a file`(fromFile: Bool) async throws {
    let broker = try MosquittoBroker()
    var arguments = [
      "-e", "localhost:\(broker.tlsPort)", "-r", broker.authority.certificateFile, "--cert",
      broker.device.certificateFile,
      "--key=\(broker.device.keyFile)", "-id", "pump-7", "-f", "json", "-i", "300", "--verbosity", "Info",
      "--once",
    ]
    let directory = try TemporaryDirectory()
    if fromFile { arguments = ["@\(try directory.write("arguments", arguments.joined(separator: "\n")))"] }
    let run = try await BuiltProgram("defender").run(
      ["doctor"] + arguments + ["--publish", "--topic", "own/{thing}"])
    #expect(run.status == .code(0), "\(run.output)")
    for line in [
      "ok       thing name     'pump-7', from -id\n",
      "ok       MQTT           connected as 'pump-7' (MQTT 5)",
      "ok       publish        published to 'own/pump-7'",
    ] {
      #expect(run.output.contains(line), "\(run.output)")
    }
    // A mistake names the option, because the user may not know the variable.
    let mistaken = try await BuiltProgram("defender").run(["doctor", "-e", "localhost", "-id", "pump-7"])
    #expect(mistaken.output.contains("--cert (or DEFENDER_CERTIFICATE_FILE) isn't set"), "\(mistaken.output)")
    #expect(!mistaken.output.contains("   credentials  "), "\(mistaken.output)")
  }

  @Test func `doctor names a wrong option as it was typed`() async throws {
    let run = try await BuiltProgram("defender").run(["doctor", "-i", "soon"], environment: variables())
    #expect(
      run.output.contains("failed   configuration  -i (or SAMPLE_INTERVAL_SECONDS) is 'soon'"),
      "\(run.output)")
    #expect(!run.output.contains("ok       interval"), "\(run.output)")
  }

  @Test func `doctor breaks its lines between words on a terminal, and says what to do next`() async throws {
    let terminal = try PseudoTerminal(rows: 24, columns: 60)
    var environment = try variables()
    environment["TERM"] = "xterm"
    environment["NO_COLOR"] = "1"
    try terminal.start(BuiltProgram("defender"), ["doctor"], environment: environment)
    #expect(try terminal.wait() == 1)
    let lines = terminal.output.split(separator: "\r\n")
    #expect(lines.allSatisfy { $0.count <= 60 || !$0.dropFirst(24).contains(" ") }, "\(terminal.output)")
    #expect(lines.contains { $0.hasPrefix(String(repeating: " ", count: 24)) })
    #expect(!terminal.output.contains("\u{1B}"))
    #expect(lines.contains { $0.hasPrefix("Next: Fix 'TCP' and run") })
  }

  @Test(arguments: [
    (["--publish"], "--publish needs --topic"),
    (["--publish", "--topic", "a/+"], "wildcard"), (["--timeout", "0"], "--timeout"),
  ])
  func `doctor reports what is wrong with its command line`(arguments: [String], words: String) async throws {
    let run = try await BuiltProgram("defender").run(["doctor"] + arguments, environment: variables())
    #expect(run.status == .code(64))
    #expect(run.errorText.contains(words))
  }
}
