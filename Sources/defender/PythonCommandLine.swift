import Platform
import WireFormats

/// A command line for one of the Python agent's programs, as the argument parser of this tool can read it.
///
/// Python's argparse takes more spellings than swift-argument-parser does: files of arguments (`@file`), a value that
/// follows its letter (`-i300`) or an equals sign (`-i=300`), letters of flags in one word (`-ds`), and the beginning of
/// a long name where that is unique (`--root`). This turns them into whole options, and nothing else.
struct PythonCommandLine {
  /// The options of a program.
  struct Program {
    /// The letters that take a value, and those that don't.
    var lettersWithValue: Set<Character>
    var flagLetters: Set<Character> = []
    /// Names of several letters behind one dash.
    var longerNames: [String]
    /// The long names that Python's program has.
    var longNames: [String]
    /// Names of this tool that begin as one of Python's does.
    var ownNames: [String]
    /// Options that may stand without their value, each with the name to spell it with, and that value.
    var optionalValues: [String: (name: String, standard: String)] = [:]
  }

  /// The arguments, spelled out.
  let arguments: [String]

  private static let deepestFile = 8

  /// Reads what stands behind the name of the command.
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

  /// Each `@file` replaced by the lines of the file, one argument a line, which may name files again.
  private static func expandingFiles(_ arguments: [String], depth: Int) throws(CommandFailure) -> [String] {
    var expanded: [String] = []
    for argument in arguments {
      guard argument.hasPrefix("@"), argument.count > 1 else {
        expanded.append(argument)
        continue
      }
      let path = String(argument.dropFirst())
      guard depth < deepestFile else {
        throw CommandFailure("'\(argument)': files of arguments name each other.", status: .notRun)
      }
      let contents: [UInt8]
      do throws(Errno) {
        contents = try readFile(path, limit: 65_536)
      } catch {
        throw CommandFailure("The file of arguments '\(path)' can't be read: \(error).", status: .notRun)
      }
      let lines = String(decoding: contents, as: UTF8.self)
        .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
      for (index, line) in lines.enumerated() {
        if let option = optionWithValue(line) {
          throw CommandFailure(
            "The file of arguments '\(path)', line \(index + 1): the option \(option) and its value are on one line. Each "
              + "line is one argument: write the value on the next line, or as \(option)=VALUE.",
            status: .notRun)
        }
      }
      expanded += try expandingFiles(lines.filter { !$0.isEmpty }, depth: depth + 1)
    }
    return expanded
  }

  /// The option of a line that holds its value, too, behind a blank; nil for any other line.
  ///
  /// Python's argparse takes such a line for one argument, and complains about a value that begins with a blank, or about
  /// an option that nobody knows.
  private static func optionWithValue(_ line: String) -> String? {
    guard line.hasPrefix("-"), let blank = line.firstIndex(where: { $0 == " " || $0 == "\t" }) else {
      return nil
    }
    let option = line[..<blank]
    // `-cMy cert.pem` and `--cert=My cert.pem` are one argument each.
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
      "--transport", "--topic", "--state-directory", "--once", "--log-format", "--acknowledge", "--procfs",
      "--help", "--version", "--certificate", "--private-key", "--minimum-interval",
    ])

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

  /// Python's takes a value, which it then compares with True in vain; here it may also stand alone.
  private func appendWebSocket(
    _ value: String?, to spelled: inout [String], rest: inout ArraySlice<String>
  ) throws(CommandFailure) {
    if try isTrue(value ?? Self.popValue(from: &rest) ?? "true") { spelled.append("--use-websocket") }
  }

  /// The next argument, taken out, where it is no option.
  private static func popValue(from rest: inout ArraySlice<String>) -> String? {
    guard let next = rest.first, !next.hasPrefix("-") else { return nil }
    return rest.popFirst()
  }

  /// An option's whole name, and its value where that follows an equals sign.
  private func parts(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("-") else { return (argument, nil) }
    let equals = argument.firstIndex(of: "=")
    let name = String(argument[..<(equals ?? argument.endIndex)])
    let value = equals.map { String(argument[argument.index(after: $0)...]) }
    guard argument.hasPrefix("--") else {
      // Behind a letter and a value that has begun, the sign belongs to the value.
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
        // No option of Python's: whatever it is, the parser says so.
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
      throw CommandFailure("--use-websocket is '\(value)'; allowed are true and false.", status: .notRun)
    }
  }
}
