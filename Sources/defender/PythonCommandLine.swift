import Platform
import WireFormats

/// Translates a command line of one of the Python agent's programs for this tool's argument parser.
///
/// Python's argparse accepts more spellings than swift-argument-parser: files of arguments (`@file`), a value
/// directly after its letter (`-i300`) or after an equals sign (`-i=300`), several flags in one word (`-ds`),
/// and unique prefixes of long names (`--root`). This expands them into complete options and changes nothing
/// else.
struct PythonCommandLine {
  /// The options of a program.
  struct Program {
    /// The letters of options with a value.
    var lettersWithValue: Set<Character>
    var flagLetters: Set<Character> = []
    /// Names of several letters after a single dash.
    var longerNames: [String]
    /// The long names of the Python program.
    var longNames: [String]
    /// Names of this tool that begin like one of the Python program's names.
    var ownNames: [String]
    /// Options whose value is optional, each with the name to use and the default value.
    var optionalValues: [String: (name: String, standard: String)] = [:]
  }

  /// The expanded arguments.
  let arguments: [String]

  private static let deepestFile = 8

  /// Expands the arguments after the command's name.
  init(_ arguments: [String], for program: Program = .agent) throws(CommandFailure) {
    var spelled: [String] = []
    var rest = try Self.expandingFiles(arguments, depth: 0)[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        spelled += [argument] + rest
        break
      }
      try program.append(argument, to: &spelled, rest: &rest)
    }
    self.arguments = spelled
  }

  /// Replaces each `@file` by the lines of the file, one argument for each line. The lines may name further
  /// files.
  private static func expandingFiles(_ arguments: [String], depth: Int) throws(CommandFailure) -> [String] {
    var expanded: [String] = []
    for argument in arguments {
      guard argument.hasPrefix("@"), argument.count > 1 else {
        expanded.append(argument)
        continue
      }
      let path = String(argument.dropFirst())
      guard depth < deepestFile else {
        throw CommandFailure(
          "Can't expand '\(argument)': the argument files include each other.", status: .notRun)
      }
      let contents: [UInt8]
      do throws(Errno) {
        contents = try readFile(path, limit: 65_536)
      } catch {
        throw CommandFailure("Can't read the argument file '\(path)': \(error).", status: .notRun)
      }
      let lines = String(decoding: contents, as: UTF8.self)
        .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
      for (index, line) in lines.enumerated() {
        if let option = optionWithValue(line) {
          throw CommandFailure(
            "Argument file '\(path)', line \(index + 1): the option \(option) and its value are on one line. Each "
              + "line is one argument: put the value on the next line, or write \(option)=VALUE.",
            status: .notRun)
        }
      }
      expanded += try expandingFiles(lines.filter { !$0.isEmpty }, depth: depth + 1)
    }
    return expanded
  }

  /// Returns the option of a line that has an option, a blank and a value; nil for any other line.
  ///
  /// Python's argparse treats such a line as one argument, and rejects it with a misleading message about the
  /// value or about an unknown option.
  private static func optionWithValue(_ line: String) -> String? {
    guard line.hasPrefix("-"), let blank = line.firstIndex(where: { $0 == " " || $0 == "\t" }) else {
      return nil
    }
    let option = line[..<blank]
    // `-cMy cert.pem` and `--cert=My cert.pem` are valid single arguments.
    let isWhole = option.hasPrefix("--") ? !option.contains("=") : option.count <= 3 && !option.contains("=")
    return isWhole ? String(option) : nil
  }
}

extension PythonCommandLine.Program {
  /// `agent.py`.
  static let agent = PythonCommandLine.Program(
    lettersWithValue: ["e", "r", "c", "k", "t", "i", "f"], flagLetters: ["d", "s"],
    longerNames: ["-id", "-se", "-ph", "-pp", "-cm"],
    longNames: [
      "--endpoint", "--rootCA", "--cert", "--key", "--client_id", "--use-websocket", "--signing-region",
      "--thing_name", "--dryrun", "--interval", "--short_tags", "--format", "--proxy-host", "--proxy-port",
      "--verbosity", "--include-custom-metrics", "--custom-metrics",
    ],
    ownNames: [
      "--client-id", "--thing-name", "--short-names", "--dry-run", "--ca", "--connection", "--keep-alive",
      "--mqtt-version",
      "--transport", "--topic", "--state-directory", "--once", "--log-format", "--acknowledge", "--procfs",
      "--help", "--version", "--certificate", "--private-key", "--minimum-interval", "--print-environment",
    ],
    optionalValues: [
      "-cm": ("-cm", "cpu_usage"), "--custom-metrics": ("--custom-metrics", "cpu_usage"),
      "--include-custom-metrics": ("--include-custom-metrics", "cpu_usage"),
    ])

  /// `defender doctor`, which takes the options of `agent.py`.
  static let doctor = {
    var program = agent
    program.ownNames += ["--publish", "--json", "--timeout"]
    return program
  }()

  /// `collector.py`.
  static let collector = PythonCommandLine.Program(
    lettersWithValue: ["n", "s", "l"], longerNames: ["-cm"],
    longNames: ["--number_samples", "--sample_rate", "--list_size", "--short-names", "--custom-metrics"],
    ownNames: ["--number-samples", "--sample-rate", "--list-size", "--short_names"],
    optionalValues: [
      "-cm": ("--custom-metrics", "cpu_usage"), "--custom-metrics": ("--custom-metrics", "cpu_usage"),
    ])

  fileprivate func append(
    _ argument: String, to spelled: inout [String], rest: inout ArraySlice<String>
  ) throws(CommandFailure) {
    let (name, value) = parts(argument)
    if let option = optionalValues[name] {
      let given = value ?? Self.popValue(from: &rest) ?? option.standard
      spelled += [option.name, given]
    } else if name == "-w" || name == "--use-websocket" {
      try appendWebSocket(value, to: &spelled, rest: &rest)
    } else if let value {
      spelled += [name, value]
    } else if argument.hasPrefix("--") {
      spelled.append(name)
    } else if argument.hasPrefix("-"), argument.count > 2, !longerNames.contains(argument) {
      try appendLetters(of: argument, to: &spelled, rest: &rest)
    } else {
      spelled.append(argument)
    }
  }

  /// The Python program requires a value, but its comparison with True never succeeds. Here the value is
  /// optional.
  private func appendWebSocket(
    _ value: String?, to spelled: inout [String], rest: inout ArraySlice<String>
  ) throws(CommandFailure) {
    if try isTrue(value ?? Self.popValue(from: &rest) ?? "true") { spelled.append("--use-websocket") }
  }

  /// Removes and returns the next argument, unless it is an option.
  private static func popValue(from rest: inout ArraySlice<String>) -> String? {
    guard let next = rest.first, !next.hasPrefix("-") else { return nil }
    return rest.popFirst()
  }

  /// Returns an option's complete name, and its value if that follows an equals sign.
  private func parts(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("-") else { return (argument, nil) }
    let equals = argument.firstIndex(of: "=")
    let name = String(argument[..<(equals ?? argument.endIndex)])
    let value = equals.map { String(argument[argument.index(after: $0)...]) }
    guard argument.hasPrefix("--") else {
      // If the value directly follows the letter, the equals sign belongs to the value.
      return name.count == 2 || longerNames.contains(name) ? (name, value) : (argument, nil)
    }
    if longNames.contains(name) || ownNames.contains(name) { return (name, value) }
    let candidates = longNames.filter { $0.hasPrefix(name) }
    return (candidates.count == 1 ? candidates[0] : name, value)
  }

  private func appendLetters(
    of argument: String, to spelled: inout [String], rest: inout ArraySlice<String>
  ) throws(CommandFailure) {
    var letters = argument.dropFirst()
    var result: [String] = []
    while let letter = letters.popFirst() {
      if letter == "w", longNames.contains("--use-websocket") {
        try appendWebSocket(letters.isEmpty ? nil : String(letters), to: &result, rest: &rest)
        break
      }
      result.append("-\(letter)")
      if flagLetters.contains(letter) { continue }
      guard lettersWithValue.contains(letter) else {
        // Not an option of the Python program; the parser reports it if it is unknown.
        spelled.append(argument)
        return
      }
      if !letters.isEmpty { result.append(String(letters)) }
      break
    }
    spelled += result
  }

  private func isTrue(_ value: String) throws(CommandFailure) -> Bool {
    switch value.lowercased() {
    case "true", "yes", "1": true
    case "false", "no", "0": false
    default:
      throw CommandFailure("--use-websocket is '\(value)'; expected true or false.", status: .notRun)
    }
  }
}
