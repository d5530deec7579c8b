import ArgumentParser
import DefenderFunction

/// The command-line tool.
struct Defender: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "defender",
    abstract: "Runs the AWS IoT Device Defender function on this machine.",
    discussion: """
      Without an AWS account: `defender invoke` and `defender emulator` bring a local Lambda and a local AWS IoT \
      data plane, on 127.0.0.1 only, with credentials made up for the run.
      """,
    version: versionText(of: "defender"),
    subcommands: [
      AgentCommand.self, InvokeCommand.self, EmulatorCommand.self, PublishCommand.self,
    ])
}
