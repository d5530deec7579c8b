package import DeviceDefender
package import Detection
import Glibc
import Platform
import WireFormats

/// The security profiles that the agent evaluates, and the destinations of violation events.
package struct DetectionConfiguration: Equatable, Sendable {
  /// The source of the security profiles.
  package enum Source: Equatable, Sendable {
    /// The paths of files, which are read again when they change.
    case files([String])
    /// Profiles in the configuration itself, and the warnings about them.
    case inline([SecurityProfile], warnings: [String])
  }

  package var source: Source
  /// The topic of violation events.
  package var topic: Topic
  /// The name of the thing in events.
  package var thing: String
  /// The program that runs for each violation event; nil if none is configured.
  package var command: OwnersProgram?
}

extension ConfigurationReader {
  /// Reads the variables of detection; nil if no profile is configured, or if a mistake was noted.
  mutating func detection(thing: String?) -> DetectionConfiguration? {
    guard let text = environment.value(.securityProfiles) else { return nil }
    let source = profileSource(text)
    let topic = violationsTopic(thing: thing ?? "local")
    let command = violationCommand()
    guard let source, let topic else { return nil }
    return DetectionConfiguration(source: source, topic: topic, thing: thing ?? "local", command: command)
  }

  /// Returns the profiles if the text is JSON, otherwise the paths that it lists; nil if a mistake was noted.
  private mutating func profileSource(_ text: String) -> DetectionConfiguration.Source? {
    if let first = trimmingBlanks(text).utf8.first, first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
      do throws(ProfileFileError) {
        let files = try ProfileFiles(parsing: text, source: Variable.securityProfiles.rawValue)
        return .inline(files.profiles, warnings: files.warnings)
      } catch {
        note(.securityProfiles, "has profiles with mistakes: \(error.reasons.joined(separator: " "))")
        return nil
      }
    }
    let paths = text.split(separator: ",").map { trimmingBlanks($0) }
    if let path = paths.first(where: { !$0.hasPrefix("/") }) ?? (paths.isEmpty ? text : nil) {
      note(.securityProfiles, "has the path '\(path)'; it must be an absolute path")
      return nil
    }
    return .files(paths)
  }

  private mutating func violationsTopic(thing: String) -> Topic? {
    let text = environment.value(.violationsTopic) ?? "defender/{thing}/violations"
    guard let template = TopicTemplate(text), !template.namesFormat else {
      note(.violationsTopic, "is '\(text)'; the only placeholder is {thing}")
      return nil
    }
    do throws(TopicError) {
      let topic = try template.topic(thing: thing, format: .json)
      guard !topic.name.hasPrefix("$") else {
        note(.violationsTopic, "is '\(text)', a reserved topic; events need a topic of your own")
        return nil
      }
      return topic
    } catch {
      note(.violationsTopic, "is '\(text)': \(error)")
      return nil
    }
  }

  private mutating func violationCommand() -> OwnersProgram? {
    guard let path = environment.value(.violationCommand) else { return nil }
    guard let program = OwnersProgram(path: path, environment: environment) else {
      note(.violationCommand, "is '\(path)'; it must be an absolute path")
      return nil
    }
    if unsafe access(path, X_OK) != 0 {
      note(.violationCommand, "is '\(path)', which can't be run: \(Errno.current)")
    } else if let reason = missingInterpreter(of: path) {
      note(.violationCommand, "is '\(path)', which can't be run: \(reason)")
    }
    return program
  }
}
