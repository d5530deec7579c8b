import AWSClient
import ArgumentParser
import FleetDetection
import Platform
import WireFormats

/// `defender detect deploy`: writes a profile to the table of a fleet.
struct DeployProfile: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deploy",
    abstract: "Writes a security profile to the table of a fleet, which uses it within a minute.",
    usage: "defender detect deploy [<options>] <file>",
    discussion: """
      Validates the profile first. It replaces a profile of the same name, also one of a file in the function's package. \
      Alarms of behaviors that it changes or removes are invalidated.

      Examples:
      \(exampleProfile)
        defender detect deploy --table fleet --things 'pump-*' ssh.json
        defender detect deploy --table fleet --things 'a-*' --things 'b-?' ssh.json

      Exit status: 0 it was written; 1 AWS refused, or couldn't be reached; 2 the profile has mistakes or can't be read, or \
      nothing was sent; 64 wrong command line.
      """)

  @OptionGroup var fleet: FleetTableOptions

  @Option(
    help: ArgumentHelp(
      "A pattern of the things to which the profile applies, with * and ?; may be repeated (default: all things, or those "
        + "that the file names).", valueName: "pattern"))
  var things: [String] = []

  @Argument(help: ArgumentHelp("The profile.", valueName: "file"), completion: .file())
  var file: String

  func validate() throws {
    for pattern in things where ThingPattern(pattern) == nil {
      throw ValidationError(
        "--things is '\(pattern)'; a pattern has letters, digits, ':', '_', '-' and the wildcards '*' and '?'."
      )
    }
  }

  func run() throws {
    let console = Console()
    do throws(CommandFailure) {
      let (document, profile) = try document()
      for warning in profile.warnings { console.error("defender: \(escapingControlCharacters(warning))") }
      let store = try fleet.store()
      do throws(StoreError) {
        try store.save(document, until: fleet.deadline)
      } catch {
        throw CommandFailure("\(error)", status: .failed)
      }
      let patterns = profile.things.map { "'\($0)'" }.joined(separator: ", ")
      console.output(
        "Deployed '\(profile.name)' for the things \(patterns). It takes effect within a minute.")
    } catch {
      console.error("defender: \(escapingControlCharacters("\(error)"))")
      throw ExitCode(error.status.rawValue)
    }
  }

  /// Reads the profile, and puts the patterns of the command line around it.
  private func document() throws(CommandFailure) -> (ProfileDocument, FleetProfile) {
    do {
      var text = try readFile(file, limit: 8 << 20, patience: .seconds(5))
      if !things.isEmpty {
        let parsed = try JSONValue(parsing: text)
        let profile = parsed["profile"] ?? parsed
        let patterns = JSONValue.array(things.map { .string($0) })
        var document = JSONWriter()
        JSONValue.object([
          JSONValue.Member(name: "things", value: patterns),
          JSONValue.Member(name: "profile", value: profile),
        ]).write(to: &document)
        text = document.bytes
      }
      let profile = try FleetProfile(parsing: text, name: "profile")
      guard text.count <= Self.sizeLimit else {
        throw CommandFailure(
          "\(file): The profile has \(text.count) bytes; an item of the table holds \(Self.sizeLimit). Put it in the "
            + "function's package instead.", status: .notRun)
      }
      return (ProfileDocument(name: profile.name, text: text), profile)
    } catch let error as CommandFailure {
      throw error
    } catch let error as Errno {
      throw CommandFailure("\(file): It can't be read: \(error.ofFile).", status: .notRun)
    } catch {
      throw CommandFailure("\(file): \(error)", status: .notRun)
    }
  }

  /// DynamoDB's items have at most 400 KB.
  private static let sizeLimit = 390_000
}
