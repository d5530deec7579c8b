package import Platform
package import WireFormats

/// What a Greengrass component is configured with: the environment, and over it the component configuration.
///
/// The component configuration uses the keys of AWS's own component (`aws.greengrass.DeviceDefender`) and ours; both
/// become the variables that the function knows, so that there is one place where they are checked.
package struct ComponentConfiguration: Equatable, Sendable {
  /// The variables, those of the component configuration in place of the environment's.
  package private(set) var variables: [String: String] = [:]
  package private(set) var retryCount: Int?
  /// What is wrong with the component configuration, a sentence each.
  package private(set) var mistakes: [String] = []
  /// Keys that mean nothing here.
  package private(set) var unknownKeys: [String] = []

  /// Keys and the variables that they stand for.
  package static let variableOfKey: [String: String] = [
    "SampleIntervalSeconds": "SAMPLE_INTERVAL_SECONDS",
    "ReportFormat": "DEFENDER_FORMAT",
    "ReportNames": "DEFENDER_NAMES",
    "CustomMetrics": "DEFENDER_CUSTOM_METRICS",
    "ThingName": "DEFENDER_THING_NAME",
    "Topic": "DEFENDER_TOPIC",
    "Transport": "DEFENDER_TRANSPORT",
    "AcknowledgeOn": "DEFENDER_ACKNOWLEDGE",
    "ConfirmationSeconds": "DEFENDER_CONFIRMATION_SECONDS",
    "MaximumListSize": "DEFENDER_MAX_LIST_SIZE",
    "MaximumReportBytes": "DEFENDER_MAX_REPORT_BYTES",
    "MinimumIntervalSeconds": "DEFENDER_MINIMUM_INTERVAL_SECONDS",
    "StateDirectory": "DEFENDER_STATE_DIRECTORY",
    "ProcfsPath": "PROCFS_PATH",
  ]
  /// Variables that are right or wrong by what is on the device, which no deployment says.
  private static let variablesOfFiles: Set<String> = [
    "DEFENDER_STATE_DIRECTORY", "DEFENDER_CUSTOM_METRICS_COMMAND", "DEFENDER_CERTIFICATE_FILE",
    "DEFENDER_PRIVATE_KEY_FILE", "DEFENDER_PRIVATE_KEY_PASSWORD_FILE",
  ]
  static let retryCountKey = "PublishRetryCount"

  /// The known key with the name most similar to `key`; nil if none is similar.
  package static func nearestKey(to key: String) -> String? {
    nearestName(to: key, among: (variableOfKey.keys + [retryCountKey]).sorted())
  }

  /// Keys that are somebody else's: the nucleus's, those of AWS's component, and those of an imported Lambda function.
  private static let foreignKeys: Set<String> = [
    "accessControl", "UseInstaller", "lambdaExecutionParameters", "containerMode", "containerParams",
    "pinned",
    "timeoutInSeconds", "statusTimeoutInSeconds", "maxIdleTimeInSeconds", "maxInstancesCount", "maxQueueSize",
    "inputPayloadEncodingType", "pubsubTopics",
  ]

  /// Reads the answer to `GetConfiguration`, or its `value` alone; null and empty text leave a key out.
  package init(_ answer: JSONValue) {
    for member in (answer["value"] ?? answer).members ?? [] { read(member) }
  }

  /// All variables of the component: what it does unless told otherwise, `environment`, and over it this.
  package func variables(over environment: Environment) -> Environment {
    // The first report of a component isn't spread: nothing is waited for but the nucleus.
    let defaults = ["DEFENDER_TRANSPORT": Transport.greengrass.name, "DEFENDER_JITTER": "0"]
    let given = environment.all.merging(variables) { _, new in new }
    return Environment(defaults.merging(given) { _, new in new })
  }

  private mutating func read(_ member: JSONValue.Member) {
    if member.value == .null || member.value == .string("") || Self.foreignKeys.contains(member.name) {
      return
    }
    if member.name == Self.retryCountKey {
      readRetryCount(member.value)
      return
    }
    let named = Self.variableOfKey[member.name]
    guard let variable = named ?? (member.name.hasPrefix("DEFENDER_") ? member.name : nil) else {
      unknownKeys.append(member.name)
      return
    }
    guard let text = Self.text(of: member.value) else {
      mistakes.append("\(member.name) is \(member.value.kind); allowed is text, a number or a list of texts")
      return
    }
    variables[variable] = text
  }

  private mutating func readRetryCount(_ value: JSONValue) {
    let range = GreengrassPublisher.RetryPolicy.countRange
    guard let text = Self.text(of: value), let count = Int(text), range.contains(count) else {
      mistakes.append(
        "\(Self.retryCountKey) is \(Self.text(of: value) ?? value.kind); allowed is a whole number from "
          + "\(range.lowerBound) to \(range.upperBound)")
      return
    }
    retryCount = count
  }

  /// A value as a variable has it: `300.0` as `300`, since a nucleus may keep numbers as floating point, and a list
  /// with commas.
  private static func text(of value: JSONValue) -> String? {
    switch value {
    case .string(let text): return text
    case .number(let text):
      guard let number = Double(text), number == number.rounded(), abs(number) < 1e15 else { return text }
      return String(Int(number))
    case .boolean(let value): return value ? "1" : "0"
    case .array(let elements):
      let texts = elements.compactMap(\.string)
      return texts.count == elements.count ? texts.joined(separator: ",") : nil
    case .null, .object: return nil
    }
  }

  /// Whether only another deployment can mend what is wrong: a value of the component configuration itself.
  package func isAtFault(for error: ConfigurationError) -> Bool {
    error.mistakes.contains { variables[$0.variable] != nil && !Self.variablesOfFiles.contains($0.variable) }
  }

  /// The key of the component configuration that stands for `variable`, for messages; the variable itself where the
  /// component configuration doesn't set it.
  package func name(of variable: String) -> String {
    guard variables[variable] != nil else { return variable }
    return Self.variableOfKey.first { $0.value == variable }?.key ?? variable
  }
}
