import ArgumentParser
import DeviceDefender
import Testing
import WireFormats

@testable import defender

/// The description of the program or of one of its commands.
struct CommandHelp: Sendable, CustomStringConvertible {
  let help: JSONValue

  /// The names of the command and of those above it, without `defender`.
  let path: [String]

  var description: String { path.joined(separator: " ") }
  /// The examples, each a line of the shell, which may have line breaks in it.
  var examples: [String] {
    let lines = discussion.split(separator: "\n", omittingEmptySubsequences: false)
      .drop { $0 != "Examples:" }.dropFirst().prefix { !$0.isEmpty }
    return lines.reduce(into: []) { examples, line in
      if line.hasPrefix("   "), let last = examples.popLast() {
        examples.append("\(last)\n\(line.dropFirst(2))")
      } else {
        examples.append(String(line.dropFirst(2)))
      }
    }
  }
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
      return tree(root, [])
    }
  }()

  /// Returns a command and those below it, except `help`.
  private static func tree(_ help: JSONValue, _ path: [String]) -> [CommandHelp] {
    let nested = (help["subcommands"]?.array ?? []).compactMap { command -> [CommandHelp]? in
      guard let name = command["commandName"]?.string, name != "help" else { return nil }
      return tree(command, path + [name])
    }
    return [CommandHelp(help: help, path: path)] + nested.flatMap { $0 }
  }
}

@Suite struct `Help texts` {
  @Test func `exist for every command`() {
    #expect(CommandHelp.all.count == Defender.configuration.subcommands.count + 6)
    #expect(CommandHelp.all.map(\.path).contains(["detect", "learn"]))
  }

  @Test(arguments: CommandHelp.all)
  func `describe the command's purpose, usage and exit statuses`(command: CommandHelp) {
    #expect(command.help["abstract"]?.string?.hasSuffix(".") == true)
    #expect(command.discussion.contains("Examples:\n  "))
    #expect(command.discussion.contains("Exit status: "))
  }

  @Test(arguments: CommandHelp.all)
  func `fit into 80 columns, with usage and examples`(command: CommandHelp) throws {
    let error = try #require(throws: (any Error).self) {
      var help = try Defender.parseAsRoot(command.path + ["--help"])
      try help.run()
    }
    let text = Defender.fullMessage(for: error, columns: 80)
    #expect(text.contains("USAGE: defender"))
    for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    // A line of an example that is broken can't be pasted.
    for line in command.discussion.split(separator: "\n") where line.hasPrefix("  ") {
      #expect(text.contains("\n\(line)\n"), "\(line)")
    }
  }

  @Test(arguments: CommandHelp.all)
  func `have examples whose command lines are valid`(command: CommandHelp) throws {
    #expect(!command.examples.isEmpty)
    var isShown = false
    for example in command.examples {
      for part in example.split(separator: "|") {
        let words = try #require(shellWords(part.split(separator: ">").first.map(String.init) ?? ""))
        guard let start = words.firstIndex(of: "defender") else { continue }
        let arguments = Array(words[(start + 1)...])
        isShown = isShown || arguments.starts(with: command.path)
        // The arguments of a file aren't known here.
        guard !arguments.contains(where: { $0.hasPrefix("@") }), arguments.first != "help" else { continue }
        let program = arguments.first.flatMap { programsOfPython[$0] }
        let rest = Array(arguments.dropFirst())
        let expanded = try program.map { try PythonCommandLine(rest, for: $0).arguments } ?? rest
        #expect(throws: Never.self, "\(example)") {
          _ = try Defender.parseAsRoot(arguments.prefix(1) + expanded)
        }
      }
    }
    #expect(isShown, "no example shows the command")
  }

  private let programsOfPython: [String: PythonCommandLine.Program] = [
    "agent": .agent, "collect": .collector, "doctor": .doctor,
  ]

  /// Returns the words of a simple command of the shell; nil if a quote isn't closed.
  private func shellWords(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    for character in text.replacing("\\\n", with: " ") {
      if character == "'" {
        isQuoted.toggle()
        word = word ?? ""
      } else if !isQuoted, character.isWhitespace {
        if let whole = word { words.append(whole) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let word { words.append(word) }
    return isQuoted ? nil : words
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
