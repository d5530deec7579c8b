package import Platform
package import WireFormats

/// The configuration that the nucleus has for this component. It overrides the environment.
///
/// It may use the keys of AWS's own component (`aws.greengrass.DeviceDefender`) and ours. Both become environment
/// variables, so that one place validates them.
package struct ComponentConfiguration: Equatable, Sendable {
  /// The variables that the component configuration sets.
  package private(set) var variables: [String: String] = [:]
  package private(set) var retryCount: Int?
  /// The mistakes in the component configuration, each one a clause for an error message.
  package private(set) var mistakes: [String] = []
  /// The keys that ``mistakes`` is about.
  package private(set) var mistakenKeys: Set<String> = []
  /// The unknown keys, which are ignored.
  package private(set) var unknownKeys: [String] = []

  /// The key whose value may be security profiles themselves.
  static let securityProfilesKey = "SecurityProfiles"
  /// The keys, and the variable that each one sets.
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
    "SpoolBytes": "DEFENDER_SPOOL_BYTES",
    "ProcfsPath": "PROCFS_PATH",
    securityProfilesKey: "DEFENDER_SECURITY_PROFILES",
    "ViolationsTopic": "DEFENDER_VIOLATIONS_TOPIC",
    "CommandTopic": "DEFENDER_COMMAND_TOPIC",
  ]
  /// The variables whose validity depends on files on the device, which the deployment doesn't control.
  private static let variablesOfFiles: Set<String> = [
    "DEFENDER_STATE_DIRECTORY", "DEFENDER_CUSTOM_METRICS_COMMAND", "DEFENDER_VIOLATION_COMMAND",
    "DEFENDER_CERTIFICATE_FILE",
    "DEFENDER_PRIVATE_KEY_FILE", "DEFENDER_PRIVATE_KEY_PASSWORD_FILE",
  ]
  static let retryCountKey = "PublishRetryCount"

  /// The known key with the name most similar to `key`; nil if none is similar.
  package static func nearestKey(to key: String) -> String? {
    nearestName(to: key, among: (variableOfKey.keys + [retryCountKey]).sorted())
  }

  /// Keys for others, which are ignored: those of the nucleus, of AWS's component, and of an imported Lambda function.
  private static let foreignKeys: Set<String> = [
    "accessControl", "UseInstaller", "lambdaExecutionParameters", "containerMode", "containerParams",
    "pinned",
    "timeoutInSeconds", "statusTimeoutInSeconds", "maxIdleTimeInSeconds", "maxInstancesCount", "maxQueueSize",
    "inputPayloadEncodingType", "pubsubTopics",
  ]

  /// Reads the response to `GetConfiguration`, or its `value` alone. A key with null or an empty text counts as unset.
  package init(_ answer: JSONValue) {
    for member in (answer["value"] ?? answer).members ?? [] { read(member) }
  }

  /// Returns all variables of the component: its defaults, overridden by `environment` and then by this configuration.
  package func variables(over environment: Environment) -> Environment {
    // A component's first report isn't spread over the interval. It waits only for the nucleus.
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
    let profiles = member.name == Self.securityProfilesKey ? Self.profiles(in: member.value) : nil
    guard let text = profiles ?? Self.text(of: member.value) else {
      mistakenKeys.insert(member.name)
      mistakes.append(
        "\(member.name) is \(member.value.kind); expected text, a number or a list of texts")
      return
    }
    variables[variable] = text
  }

  private mutating func readRetryCount(_ value: JSONValue) {
    let range = GreengrassPublisher.RetryPolicy.countRange
    guard let text = Self.text(of: value), let count = Int(text), range.contains(count) else {
      mistakenKeys.insert(Self.retryCountKey)
      mistakes.append(
        "\(Self.retryCountKey) is \(Self.text(of: value) ?? value.kind); expected a whole number from "
          + "\(range.lowerBound) to \(range.upperBound)")
      return
    }
    retryCount = count
  }

  /// Returns inline security profiles as JSON; nil if the value isn't an object or an array of objects.
  private static func profiles(in value: JSONValue) -> String? {
    let isInline = value.members != nil || value.array?.first?.members != nil
    guard isInline else { return nil }
    var document = JSONWriter()
    withWholeNumbers(value).write(to: &document)
    return String(decoding: document.bytes, as: UTF8.self)
  }

  /// Returns the value with `300.0` as `300`, because a nucleus may store numbers as floating point.
  private static func withWholeNumbers(_ value: JSONValue) -> JSONValue {
    switch value {
    case .number: text(of: value).map { .number($0) } ?? value
    case .array(let elements): .array(elements.map(withWholeNumbers))
    case .object(let members):
      .object(members.map { JSONValue.Member(name: $0.name, value: withWholeNumbers($0.value)) })
    default: value
    }
  }

  /// Returns a value as the text of a variable; nil if that isn't possible.
  ///
  /// `300.0` becomes `300`, because a nucleus may store numbers as floating point. Commas separate the elements of a list.
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

  /// Returns whether only another deployment can correct `error`: a value of the component configuration itself is wrong.
  package func isAtFault(for error: ConfigurationError) -> Bool {
    error.mistakes.contains { variables[$0.variable] != nil && !Self.variablesOfFiles.contains($0.variable) }
  }

  /// Returns the name to use for `variable` in messages: its key in the component configuration, or the variable itself if
  /// the component configuration doesn't set it.
  package func name(of variable: String) -> String {
    guard variables[variable] != nil else { return variable }
    return Self.variableOfKey.first { $0.value == variable }?.key ?? variable
  }
}
