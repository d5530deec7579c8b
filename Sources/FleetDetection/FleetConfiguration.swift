package import Platform
import WireFormats

/// The variables of detection for a fleet.
package struct FleetConfiguration: Equatable, Sendable {
  /// The name of the table (`DETECT_TABLE`); empty if there is a state file.
  package let table: String
  /// The path of a local file that has the state instead of a table (`DETECT_STATE_FILE`); nil for a table.
  package let stateFile: String?
  /// The directories and files of profiles: `profiles` in the package and in layers, and those of `DETECT_PROFILES`.
  package let profilePaths: [String]
  /// The topic of AWS IoT for events, with `{thing}`; nil for none (`DETECT_ALARMS_TOPIC`).
  package let alarmsTopic: String?
  /// How long events and the states of silent things are kept (`DETECT_RETENTION_DAYS`).
  package let retention: Duration
  /// How long a thing may send no report (`DETECT_SILENT_AFTER_SECONDS`); nil if that raises no alarm.
  package let silence: Duration?

  private static let variables = [
    "DETECT_TABLE", "DETECT_STATE_FILE", "DETECT_PROFILES", "DETECT_ALARMS_TOPIC", "DETECT_RETENTION_DAYS",
    "DETECT_SILENT_AFTER_SECONDS",
  ]

  /// Reads the variables. Throws one error with all mistakes.
  package init(_ environment: Environment) throws(FleetConfigurationError) {
    var mistakes: [String] = []
    table = environment.value("DETECT_TABLE") ?? ""
    stateFile = environment.value("DETECT_STATE_FILE")
    if let stateFile {
      if !stateFile.hasPrefix("/") {
        mistakes.append("DETECT_STATE_FILE is '\(stateFile)'; it must be an absolute path.")
      }
      if !table.isEmpty {
        mistakes.append("DETECT_TABLE and DETECT_STATE_FILE are both set; the state can have only one place.")
      }
    } else if !Self.isTableName(table) {
      mistakes.append(
        table.isEmpty
          ? "DETECT_TABLE isn't set; set it to the name of the DynamoDB table."
          : "DETECT_TABLE is '\(table)'; a table's name has 3 to 255 letters, digits, '_', '-' and '.'.")
    }
    let root = environment.value("LAMBDA_TASK_ROOT").map { ["\($0)/profiles"] } ?? []
    let given = environment.value("DETECT_PROFILES")?.split(separator: ",").map { trimmingBlanks($0) } ?? []
    for path in given where !path.hasPrefix("/") {
      mistakes.append("DETECT_PROFILES has the path '\(path)'; it must be an absolute path.")
    }
    profilePaths = root + ["/opt/profiles"] + given
    alarmsTopic = environment.value("DETECT_ALARMS_TOPIC")
    if let alarmsTopic, !Self.isTopic(alarmsTopic) {
      mistakes.append(
        "DETECT_ALARMS_TOPIC is '\(alarmsTopic)'; expected a topic of your own without wildcards, in which a level may be "
          + "{thing}.")
    }
    let days = environment.value("DETECT_RETENTION_DAYS") ?? "30"
    let number = Int64(days).flatMap { (3...3_650).contains($0) ? $0 : nil }
    if number == nil {
      mistakes.append("DETECT_RETENTION_DAYS is '\(days)'; expected a whole number of days from 3 to 3650.")
    }
    retention = .seconds(86_400 * (number ?? 30))
    let silentAfter = environment.value("DETECT_SILENT_AFTER_SECONDS") ?? "0"
    let seconds = Int64(silentAfter).flatMap { $0 == 0 || (60...604_800).contains($0) ? $0 : nil }
    if seconds == nil {
      mistakes.append(
        "DETECT_SILENT_AFTER_SECONDS is '\(silentAfter)'; expected 60 to 604800 seconds, or 0 for no such alarm."
      )
    }
    if let seconds, let number, seconds > (number - 2) * 86_400 {
      mistakes.append(
        "DETECT_SILENT_AFTER_SECONDS is \(seconds), but a state is removed after DETECT_RETENTION_DAYS, which is \(number). "
          + "Use at most \((number - 2) * 86_400) seconds, or more days.")
    }
    silence = seconds.flatMap { $0 == 0 ? nil : .seconds($0) }
    for name in environment.all.keys.sorted()
    where name.hasPrefix("DETECT_") && !Self.variables.contains(name) {
      mistakes.append(
        "\(name) is an unknown variable. The known ones are \(Self.variables.joined(separator: ", ")).")
    }
    if !mistakes.isEmpty { throw FleetConfigurationError(mistakes: mistakes) }
  }

  /// Returns whether DynamoDB allows the name ("Naming rules", Amazon DynamoDB developer guide).
  package static func isTableName(_ text: String) -> Bool {
    (3...255).contains(text.utf8.count)
      && text.utf8.allSatisfy { isLetterOrDigit($0) || "_-.".utf8.contains($0) }
  }

  private static func isTopic(_ text: String) -> Bool {
    (1...256).contains(text.utf8.count) && !text.hasPrefix("$")
      && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"+#".utf8.contains($0) }
  }
}

/// The mistakes in the variables of detection for a fleet.
package struct FleetConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package let mistakes: [String]

  package var description: String { mistakes.joined(separator: " ") }
}
