import ArgumentParser
import DefenderAgent
import Detection
import Platform
import WireFormats

/// `defender detect`: evaluates security profiles without AWS.
struct DetectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detect",
    abstract: "Validates security profiles, and evaluates them over recorded reports.",
    discussion: """
      A security profile is the JSON of `aws iot create-security-profile --cli-input-json` or `describe-security-profile`, \
      an array of behaviors, or the properties of CloudFormation's AWS::IoT::SecurityProfile.

      Examples:
        defender detect validate profile.json
        defender collect -s 60 | defender detect run --profile profile.json
        defender detect run --profile profile.json --fail-on-alarm reports.jsonl

      Exit status: 0 it went well; others as `defender help detect run` has them.
      """,
    subcommands: [ValidateProfiles.self, RunDetection.self])
}

/// `defender detect validate`: validates security profiles, as AWS's ValidateSecurityProfileBehaviors does.
struct ValidateProfiles: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Checks security profiles, and names the line and the place of each mistake.",
    discussion: """
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
          console.output(
            "\(escapingControlCharacters(file)): '\(profile.name)' is valid, with \(profile.behaviors.count) behaviors."
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
func profiles(at paths: [String], _ console: Console) throws -> [SecurityProfile] {
  do throws(ProfileFileError) {
    let files = try ProfileFiles(at: paths)
    for warning in files.warnings { console.error("defender: \(escapingControlCharacters(warning))") }
    for profile in files.profiles {
      for behavior in profile.behaviors {
        guard let reason = behavior.reasonNotEvaluated else { continue }
        console.error(
          "defender: The behavior '\(behavior.name)' of '\(profile.name)' isn't evaluated: \(reason), which isn't "
            + "supported yet.")
      }
    }
    return files.profiles
  } catch {
    for line in error.lines { console.error("defender: \(escapingControlCharacters(line))") }
    throw ExitCode(CommandFailure.Status.notRun.rawValue)
  }
}
