import DefenderAgent
import Foundation
import Platform
import TestSupport
import Testing

private let repository = #filePath.split(separator: "/").dropLast(4).map { "/\($0)" }.joined()

/// Returns the names that begin with `DEFENDER_` in the file at `path` in the repository.
private func names(in path: String) throws -> Set<String> {
  let text = String(decoding: try fileContents("\(repository)/\(path)"), as: UTF8.self)
  return Set(text.matches(of: /DEFENDER_[A-Z0-9_]*[A-Z0-9]/).map { String($0.output) })
}

struct `Variables of the agent` {
  private let known = Set(Variable.allCases.map(\.rawValue))

  @Test func `are exactly those of docs/configuration.md`() throws {
    #expect(try names(in: "docs/configuration.md") == known.filter { $0.hasPrefix("DEFENDER_") })
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
