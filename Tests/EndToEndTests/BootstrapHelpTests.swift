import DefenderAgent
import LambdaEmulator
import TestSupport
import Testing

@Suite struct `the help of bootstrap` {
  @Test(arguments: [["--help"], ["-h"], ["help"], ["agent", "--help"], ["agent", "-h"], ["help", "agent"]])
  func `explains the program and fits a terminal`(arguments: [String]) async throws {
    let result = try await BuiltProgram("bootstrap").run(arguments)
    #expect(result.status == .code(0) && result.errors.isEmpty, "\(result.errorText)")
    #expect(result.output.contains("Example") && result.output.contains("Exit status: 0 "))
    for line in result.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  @Test func `names every variable of the agent, and so does the manual page`() async throws {
    let help = try await BuiltProgram("bootstrap").run(["agent", "--help"]).output
    let repository = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
    let page = String(
      decoding: try fileContents(repository + "/lambda/packaging/device-defender.8"), as: UTF8.self)
    // These are for Lambda and Greengrass.
    for variable in Variable.allCases where ![.runtimeAPI, .componentName].contains(variable) {
      #expect(help.contains("\(variable.rawValue)"), "\(variable.rawValue)")
      #expect(page.contains("\(variable.rawValue)"), "\(variable.rawValue)")
    }
  }

  @Test func `is named, with the agent, if nothing says how to run`() async throws {
    let result = try await BuiltProgram("bootstrap").run()
    #expect(result.isErrorExit && result.errors.count == 1, "\(result.errorText)")
    #expect(result.errorText.contains("AWS_LAMBDA_RUNTIME_API isn't set"), "\(result.errorText)")
    #expect(
      result.errorText.contains("run 'bootstrap agent'. 'bootstrap --help' lists"), "\(result.errorText)")
  }

  @Test func `is named by the error about arguments`() async throws {
    let result = try await BuiltProgram("bootstrap").run(["agent", "-i", "600"])
    #expect(result.errorText.contains("'bootstrap agent --help' lists them."))
  }
}
