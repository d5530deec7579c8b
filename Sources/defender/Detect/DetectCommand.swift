import ArgumentParser
import DefenderAgent
import Detection
import Platform
import WireFormats

/// The lines of an example that writes a profile, which allows only SSH's port, to a file.
let exampleProfile = """
    echo '[{"name": "only-ssh", "metric": "aws:listening-tcp-ports", "criteria":
      {"comparisonOperator":"in-port-set","value":{"ports":[22]}}}]' >ssh.json
  """

/// `defender detect`: evaluates security profiles without AWS.
struct DetectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detect",
    abstract: "Learns, validates and evaluates security profiles over recorded reports.",
    discussion: """
      A security profile is the JSON of `aws iot create-security-profile --cli-input-json` or `describe-security-profile`, \
      an array of behaviors, or the properties of CloudFormation's AWS::IoT::SecurityProfile.

      Examples:
      \(exampleProfile)
        defender detect validate ssh.json
        defender collect | defender detect run --profile ssh.json
        defender collect | defender detect learn >profile.json
        defender collect | defender detect report --profile ssh.json --html page.html

      Exit status: 0 success; others as in `defender help detect learn`, `validate`, `run` and `report`.
      """,
    subcommands: [
      LearnProfile.self, ValidateProfiles.self, RunDetection.self, ReportDetection.self, DeployProfile.self,
    ])
}

/// `defender detect validate`: validates security profiles, as AWS's ValidateSecurityProfileBehaviors does.
struct ValidateProfiles: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Checks security profiles, and names the line and the place of each mistake.",
    discussion: """
      Accepts what Device Defender accepts. A warning is about a value that is valid but makes little sense.

      Examples:
      \(exampleProfile)
        defender detect validate ssh.json
        defender detect validate --json ssh.json

      Exit status: 0 all profiles are valid; 1 one isn't; 2 a file couldn't be read; 64 wrong command line; 74 the output \
      couldn't be written.
      """)

  @Flag(help: "Print the answer of ValidateSecurityProfileBehaviors, one a line for each file.")
  var json = false

  @Argument(help: ArgumentHelp("The profiles.", valueName: "file"), completion: .file())
  var files: [String]

  func run() throws {
    let console = Console()
    var isValid = true
    for file in files {
      let validation: ProfileValidation
      do throws(ProfileFileError) {
        validation = try ProfileFiles.validation(of: file)
      } catch {
        for line in error.lines { console.error("defender: \(escapingControlCharacters(line))") }
        throw ExitCode(CommandFailure.Status.notRun.rawValue)
      }
      if validation.profile == nil { isValid = false }
      if json {
        console.output(answer(validation))
      } else {
        for issue in validation.issues {
          let kind = issue.isWarning ? "warning: " : ""
          console.output(escapingControlCharacters("\(file): \(kind)\(issue)"))
        }
        if let profile = validation.profile {
          let count = profile.behaviors.count
          console.output(
            "\(escapingControlCharacters(file)): '\(profile.name)' is valid, with \(count) \(count == 1 ? "behavior" : "behaviors")."
          )
        }
      }
    }
    if !isValid { throw ExitCode(CommandFailure.Status.failed.rawValue) }
  }

  private func answer(_ validation: ProfileValidation) -> String {
    let errors = validation.mistakes.map { mistake in
      JSONValue.object([JSONValue.Member(name: "errorMessage", value: .string("\(mistake)"))])
    }
    var document = JSONWriter()
    JSONValue.object([
      JSONValue.Member(name: "valid", value: .boolean(validation.profile != nil)),
      JSONValue.Member(name: "validationErrors", value: .array(errors)),
    ]).write(to: &document)
    return String(decoding: document.bytes, as: UTF8.self)
  }
}

/// Reads the profiles of a command line, and prints their warnings and the behaviors that aren't evaluated.
///
/// `ofFleet` is true if the reports of all things are evaluated, so that they can be compared.
func profiles(at paths: [String], _ console: Console, ofFleet: Bool = false) throws -> [SecurityProfile] {
  do throws(ProfileFileError) {
    let files = try ProfileFiles(at: paths)
    for warning in files.warnings { console.error("defender: \(escapingControlCharacters(warning))") }
    for profile in files.profiles {
      for behavior in profile.behaviors {
        if ofFleet, case .statistical = behavior.criteria.threshold { continue }
        guard let reason = behavior.reasonNotEvaluated else { continue }
        console.error(
          "defender: The behavior '\(behavior.name)' of '\(profile.name)' isn't evaluated: \(reason). "
            + "Use 'defender detect run'.")
      }
    }
    return files.profiles
  } catch {
    for line in error.lines { console.error("defender: \(escapingControlCharacters(line))") }
    throw ExitCode(CommandFailure.Status.notRun.rawValue)
  }
}
