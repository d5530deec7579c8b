import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// What the built programs make of their environment, in each way to run them.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The configuration of a program` {
  /// The ways to run the agent.
  enum Mode: String, CaseIterable {
    case function, agent, component, command
  }

  /// Runs the agent with `variables` until it has read them, and returns what it logged.
  private func log(of mode: Mode, _ variables: [String: String]) async throws -> String {
    let own = ["AWS_IOT_THING_NAME": "pump-7", "AWS_REGION": "eu-central-1"]
    let environment = own.merging(variables) { $1 }
    switch mode {
    case .function:
      var function = FunctionConfiguration(
        bootstrap: try BuiltProgram("bootstrap").path, timeout: .seconds(60))
      function.environment = environment
      return try await Lines.ofEmulator(Emulator.Configuration(function: function)) { emulator, lines in
        _ = await emulator.invoke(InvocationRequest(event: Array(#"{"reports":1}"#.utf8))).complete()
        return lines.output.joined(separator: "\n")
      }
    case .agent:
      return try await BuiltProgram("bootstrap").run(["agent"], environment: environment).errorText
    case .command:
      return try await BuiltProgram("defender").run(["agent"], environment: environment).errorText
    case .component:
      let nucleus = try FakeNucleus(
        .lite, arguments: ["--run", try BuiltProgram("bootstrap").path], environment: environment)
      try nucleus.do(#"{"do": "start"}"#)
      var lines: [String] = []
      while lines.last?.contains("Rejected the configuration") != true {
        lines.append(try nucleus.next("log")["line"]?.string ?? "")
      }
      return lines.joined(separator: "\n")
    }
  }

  private func sentences(in log: String, with words: String) -> Int {
    log.split(separator: "\n").count { $0.contains(words) }
  }

  @Test(arguments: Mode.allCases)
  func `has its mistakes reported together and at the start, those of a role alias too`(mode: Mode)
    async throws
  {
    let log = try await log(
      of: mode, ["DEFENDER_ROLE_ALIAS": "my-alias", "DEFENDER_FORMAT": "xml", "DEFENDER_JITTER": "a bit"])
    for mistake in [
      "DEFENDER_CREDENTIALS_ENDPOINT isn't set;",
      "DEFENDER_CERTIFICATE_FILE) isn't set; a role alias needs it", "DEFENDER_FORMAT is 'xml'",
      "DEFENDER_JITTER is 'a bit'",
    ] {
      // `defender agent` names its options, too.
      let words = mode == .command ? mistake : mistake.filter { $0 != ")" }
      #expect(log.contains(words), "\(log)")
    }
  }

  @Test(arguments: Mode.allCases)
  func `has an unknown variable named once, with the nearest known one`(mode: Mode) async throws {
    var variables = ["DEFENDER_TRANPORT": "mqtt", "DEFENDER_BINARY_DIRECTORY": "/"]
    // A function that fails at its start is started again; the others run until they are asked to stop.
    if mode != .function { variables["DEFENDER_FORMAT"] = "xml" }
    let log = try await log(of: mode, variables)
    #expect(sentences(in: log, with: "DEFENDER_TRANPORT") == 1, "\(log)")
    #expect(
      log.contains("Ignored the unknown variable DEFENDER_TRANPORT. Did you mean DEFENDER_TRANSPORT?"))
    #expect(!log.contains("DEFENDER_BINARY_DIRECTORY"))
  }

  @Test func `has an unknown variable named by a dry run and by doctor`() async throws {
    let program = try BuiltProgram("defender")
    let variables = ["DEFENDER_TRANPORT": "mqtt"]
    let words = "Did you mean DEFENDER_TRANSPORT?"
    let dryRun = try await program.run(
      ["agent", "--dry-run", "--once", "--procfs", fixturePath("proc/basic/t1")], environment: variables)
    #expect(dryRun.status == .code(0))
    #expect(sentences(in: dryRun.errorText, with: words) == 1, "\(dryRun.errorText)")
    let doctor = try await program.run(["doctor"], environment: variables)
    #expect(sentences(in: doctor.output, with: words) == 1, "\(doctor.output)")
    #expect(doctor.output.contains("failed   configuration"))
  }

  @Test func `names the nearest key of a component configuration`() throws {
    let nucleus = try FakeNucleus(
      .lite, configuration: #"{"ReportFormt": "json", "DEFENDER_NAME": "short", "ReportNames": "tiny"}"#,
      arguments: ["--run", try BuiltProgram("bootstrap").path], environment: ["AWS_IOT_THING_NAME": "t1"])
    try nucleus.do(#"{"do": "start"}"#)
    var lines: [String] = []
    while lines.last?.contains("Rejected the configuration") != true {
      lines.append(try nucleus.next("log")["line"]?.string ?? "")
    }
    #expect(lines.contains { $0.contains("'ReportFormt'") && $0.contains("Did you mean 'ReportFormat'?") })
    #expect(lines.contains { $0.contains("DEFENDER_NAME.") && $0.contains("Did you mean DEFENDER_NAMES?") })
  }
}
