import LambdaEmulator
import Platform
import TestSupport
import Testing

/// Runs examples of the help of `defender` as they are, in an empty directory.
@Suite(.ownThreads, .timeLimit(.minutes(10))) struct `An example in the help of defender` {
  /// Returns the lines below "Examples:" in a command's help, without their indentation.
  private func examples(_ command: String) async throws -> [String] {
    let words = command.split(separator: " ").map(String.init)
    let help = try await BuiltProgram("defender").run(words + ["--help"]).output
    let lines = help.split(separator: "\n", omittingEmptySubsequences: false).drop { $0 != "Examples:" }
    try #require(!lines.isEmpty)
    return lines.dropFirst().prefix { !$0.isEmpty }.map { String($0.dropFirst(2)) }
  }

  /// Runs a script in `directory`, which has a stub of the AWS CLI.
  private func run(_ script: [String], in directory: TemporaryDirectory) async throws -> BuiltProgram.Result {
    let programs = try BuiltProgram("defender").path.split(separator: "/").dropLast().map { "/\($0)" }
      .joined()
    try directory.writeProgram("aws", "#!/bin/sh\nexit 0\n")
    return try await BuiltProgram(path: "/bin/sh").run(
      ["-c", "cd \"$0\" && set -e\n\(script.joined(separator: "\n"))", directory.path],
      environment: [
        "PATH": "\(programs):\(directory.path):/usr/bin:/bin", "HOME": directory.path,
        // Other tests have more connections than a report lists by default, and then the programs warn.
        "DEFENDER_MAX_LIST_SIZE": "10000",
      ])
  }

  @Test(arguments: ["detect validate", "detect run", "detect report", "security-profile"])
  func `works with those before it`(command: String) async throws {
    let directory = try TemporaryDirectory()
    let run = try await run(examples(command), in: directory)
    #expect(run.status == .code(0) && run.errors == [], "\(run.errorText)")
    #expect(!run.output.isEmpty)
  }

  @Test(arguments: ["detect", "detect learn"])
  func `that learns from seconds works, and says that they are too few`(command: String) async throws {
    let directory = try TemporaryDirectory()
    let run = try await run(examples(command), in: directory)
    #expect(run.status == .code(0) && run.errorText.contains("Record at least a day"), "\(run.errorText)")
    #expect(!run.output.isEmpty)
  }

  @Test(arguments: ["agent", "invoke"])
  func `works without preparation if it is the first one`(command: String) async throws {
    let directory = try TemporaryDirectory()
    let run = try await run(Array(examples(command).prefix(1)), in: directory)
    #expect(run.status == .code(0) && run.output.contains("listening_tcp_ports"), "\(run.errorText)")
  }

  @Test func `of doctor prints what is missing`() async throws {
    let directory = try TemporaryDirectory()
    let run = try await run(Array(examples("doctor").prefix(1)), in: directory)
    #expect(run.output.contains("\nNext: Fix 'configuration'"), "\(run.output)\(run.errorText)")
  }

  @Test func `of collect works, unless it needs another procfs, a terminal or minutes`() async throws {
    let directory = try TemporaryDirectory()
    let skipped = ["--procfs", "--watch", "-s 60"]
    let examples = try await examples("collect").filter { line in !skipped.contains { line.contains($0) } }
    #expect(examples.count >= 5)
    let run = try await run(examples, in: directory)
    #expect(run.status == .code(0) && run.output.contains("cpu_usage"), "\(run.errorText)")
  }
}
