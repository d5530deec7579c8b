import ArgumentParser
import DeviceDefender
import Testing
import WireFormats

@testable import defender

/// The description of the program or of one of its commands.
struct CommandHelp: Sendable, CustomStringConvertible {
  let help: JSONValue

  var description: String { help["commandName"]?.string ?? "" }
  var discussion: String { help["discussion"]?.string ?? "" }
  var options: [JSONValue] { help["arguments"]?.array ?? [] }

  /// The program and its commands, from `--experimental-dump-help`.
  static let all: [CommandHelp] = {
    do {
      _ = try Defender.parseAsRoot(["--experimental-dump-help"])
      return []
    } catch {
      let dump = try? JSONValue(parsing: Array(Defender.fullMessage(for: error).utf8))
      guard let root = dump?["command"] else { return [] }
      let commands = [root] + (root["subcommands"]?.array ?? [])
      return commands.map(CommandHelp.init).filter { $0.description != "help" }
    }
  }()
}

@Suite struct `Help texts` {
  @Test func `exist for every command`() {
    #expect(CommandHelp.all.count == Defender.configuration.subcommands.count + 1)
  }

  @Test(arguments: CommandHelp.all)
  func `describe the command's purpose, usage and exit statuses`(command: CommandHelp) {
    #expect(command.help["abstract"]?.string?.hasSuffix(".") == true)
    #expect(command.discussion.contains("Examples:\n  "))
    #expect(command.discussion.contains("Exit status: "))
  }

  @Test(arguments: CommandHelp.all)
  func `have examples that fit into 80 columns`(command: CommandHelp) {
    for line in command.discussion.split(separator: "\n") where line.hasPrefix("  ") {
      #expect(line.count <= 79, "\(line)")
    }
  }

  @Test(arguments: CommandHelp.all)
  func `describe each option and its default`(command: CommandHelp) throws {
    // These options have no default.
    let standAlone = [
      "certificate", "private-key", "proxy-host", "payload-file", "endpoint", "custom-metrics",
    ]
    for option in command.options {
      let name = option["names"]?.array?.last?["name"]?.string ?? option["valueName"]?.string ?? ""
      let abstract = try #require(option["abstract"]?.string, "\(name) has no help")
      #expect(abstract.hasSuffix("."), "\(name)")
      guard option["kind"]?.string == "option", option["isOptional"]?.boolean == true,
        !standAlone.contains(name)
      else { continue }
      let hasDefault = option["defaultValue"] != nil || abstract.contains("default: ")
      #expect(hasDefault, "\(name) doesn't say what it is without")
    }
  }

  @Test(arguments: SystemMetric.kinds.map { [$0.name, $0.summary] })
  func `list every custom metric and what it measures`(words: [String]) throws {
    let collect = try #require(CommandHelp.all.first { $0.description == "collect" })
    #expect(collect.discussion.contains("\n  \(words.joined(separator: ": "))\n"))
  }

  @Test(
    arguments: [
      ("agnt", "agent"), ("invok", "invoke"), ("pub", "publish"), ("emulater", "emulator"), ("hlep", nil),
      ("x", nil),
    ])
  func `suggest the intended command`(word: String, meant: String?) throws {
    let complaint = try #require(Defender.complaint(about: [word, "--option"]))
    #expect(Defender.complaint(about: ["help", word]) == complaint)
    #expect(complaint.contains("Did you mean") == (meant != nil))
    if let meant { #expect(complaint.contains("`defender \(meant)`")) }
  }

  @Test(arguments: [
    [], ["agent"], ["agent", "word"], ["help"], ["help", "agent"], ["--help"], ["-h"], ["--version"],
  ])
  func `suggest nothing for a valid command`(words: [String]) {
    #expect(Defender.complaint(about: words) == nil)
  }
}
