import ArgumentParser
import DefenderAgent
import Platform

/// The command-line tool.
struct Defender: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "defender",
    abstract: "Runs the AWS IoT Device Defender function on this machine.",
    discussion: """
      Without an AWS account: `defender invoke` and `defender emulator` provide a local Lambda and a local AWS IoT \
      data plane, on 127.0.0.1 only, with credentials generated for the run. With an account: `defender agent` reports this \
      device to Device Defender.

      Examples:
        defender invoke
        defender help agent
        source <(defender --generate-completion-script bash)

      Exit status: 0 success; 1 the function failed, or AWS rejected the request; 2 nothing was run or sent; 3 no answer; \
      64 wrong command line; 74 the output couldn't be written.
      """,
    version: versionText(of: "defender"),
    subcommands: [
      AgentCommand.self, DoctorCommand.self, CollectCommand.self, InvokeCommand.self, EmulatorCommand.self,
      PublishCommand.self, DetectCommand.self, ViolationsCommand.self,
      SecurityProfileCommand.self,
    ])

  /// Returns an error message if an argument isn't UTF-8; nil if all are.
  ///
  /// Swift replaces invalid bytes with U+FFFD, which would then be published, possibly to another topic.
  static func complaintAboutEncoding(_ arguments: UnsafeMutablePointer<UnsafeMutablePointer<Int8>?>)
    -> String?
  {
    var index = 0
    while let argument = unsafe arguments[index] {
      guard unsafe String(validatingCString: argument) != nil else {
        return
          "Argument \(index) isn't UTF-8. To publish other bytes, put them in a file and use --payload-file."
      }
      index += 1
    }
    return nil
  }

  /// Returns an error message if the first word, or the one after `help`, is neither an option nor a command;
  /// nil otherwise.
  static func complaint(about arguments: [String]) -> String? {
    let words = arguments.prefix(2)
    let isHelp = words.first == "help" && words.count == 2
    return (isHelp ? words.last : words.first).flatMap { complaint(about: $0) }
  }

  private static func complaint(about word: String) -> String? {
    let commands = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
    guard !word.hasPrefix("-"), !commands.contains(word) else { return nil }
    let next = nearestName(to: word, among: commands).map { "Did you mean `defender \($0)`?" }
    return "Unknown command '\(word)'. \(next ?? "The commands are \(commands.joined(separator: ", ")).")"
  }
}
