import DefenderAgent
import Foundation
import Platform
import TestSupport
import Testing

private let repository = #filePath.split(separator: "/").dropLast(4).map { "/\($0)" }.joined()

/// Returns the names that begin with `DEFENDER_` in the file at `path` in the repository.
private func names(in path: String) throws -> Set<String> {
  let text = String(decoding: try fileContents("\(repository)/\(path)"), as: UTF8.self)
  return Set(text.matches(of: /\bDEFENDER_[A-Z0-9_]*[A-Z0-9]/).map { String($0.output) })
}

struct `Variables of the agent` {
  private let known = Set(Variable.allCases.map(\.rawValue))

  @Test func `are exactly those of docs/configuration.md`() throws {
    #expect(try names(in: "docs/configuration.md") == known.filter { $0.hasPrefix("DEFENDER_") })
  }

  @Test func `are in the service's environment file, each as a comment`() throws {
    let text = String(decoding: try fileContents("\(repository)/lambda/systemd/agent.env"), as: UTF8.self)
    let lines = text.split(separator: "\n")
    #expect(lines.allSatisfy { $0.hasPrefix("#") })
    // `#NAME=VALUE`; a comment has a blank after the '#'.
    let examples = lines.compactMap { $0.wholeMatch(of: /#([A-Z0-9_]+)=(.*)/)?.output }
    let names = examples.map { String($0.1) }
    #expect(Set(names).count == names.count)
    let others: Set = ["HTTPS_PROXY", "NO_PROXY", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"]
    // Lambda sets one of these, and a Greengrass component the other.
    let ofNoService = Set([Variable.runtimeAPI, .componentName].map(\.rawValue))
    #expect(Set(names).subtracting(others) == known.subtracting(ofNoService))
    // The files of the examples don't exist here.
    for (_, name, example) in examples where !example.isEmpty && !example.hasPrefix("/") {
      var variables = [
        "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "e", "AWS_IOT_THING_NAME": "t",
      ]
      variables[String(name)] = String(example)
      var mistakes: [ConfigurationError.Mistake] = []
      _ = Configuration(Environment(variables), noting: &mistakes)
      #expect(mistakes.filter { $0.variable == name } == [], "\(name)=\(example)")
    }
  }

  @Test func `include every variable that the sources mention`() throws {
    let sources = FileManager.default.enumerator(atPath: "\(repository)/Sources")?.compactMap {
      $0 as? String
    }
    let files = try #require(sources).filter { $0.hasSuffix(".swift") }
    #expect(files.count > 100)
    for file in files {
      #expect(try names(in: "Sources/\(file)").subtracting(known).subtracting(UnknownVariable.ofTests) == [])
    }
  }

  @Test(arguments: [
    ("DEFENDER_FORMT", "DEFENDER_FORMAT"), ("DEFENDER_TRANPORT", "DEFENDER_TRANSPORT"),
    ("DEFENDER_CERTIFICATE", "DEFENDER_CERTIFICATE_FILE"),
    ("DEFENDER_MQTT_ENDPOIT", "DEFENDER_MQTT_ENDPOINT"),
    ("DEFENDER_MAX_REPORT_SIZE", "DEFENDER_MAX_REPORT_BYTES"), ("DEFENDER_NAME", "DEFENDER_NAMES"),
    ("DEFENDER_XYZ", nil), ("DEFENDER_", nil), ("DEFENDER_WITH\u{1B}[31m", nil), ("DEFENDER_é", nil),
    ("DEFENDER_format", nil),
  ])
  func `are named, with the nearest known one, if they are unknown`(name: String, nearest: String?) throws {
    let unknown = Environment([name: "hunter2", "DEFENDER_TOPIC": "t"]).unknownVariables
    #expect(unknown.map(\.name) == [name])
    #expect(unknown.first?.nearest == nearest)
    let text = unknown.map { "\($0)" }.joined()
    #expect(text.contains(nearest.map { "Did you mean \($0)?" } ?? "docs/configuration.md"))
    #expect(!text.contains("hunter2") && !text.contains("\u{1B}"))
  }

  @Test(arguments: [
    "DEFENDER", "DEFENDERS_TOPIC", "defender_topic", "AWS_DEFENDER_TOPIC", "DEFENDER_BINARY_DIRECTORY",
  ])
  func `are ignored if they aren't the agent's`(name: String) {
    #expect(Environment([name: "x"]).unknownVariables.isEmpty)
  }
}
