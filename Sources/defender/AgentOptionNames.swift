import Platform

/// The options that set a variable, and how an error message names the variable: as the user gave it.
struct AgentOptionNames {
  /// The spellings of the options that set each variable, the preferred one first.
  static let spellings: [String: [String]] = [
    "DEFENDER_MQTT_ENDPOINT": ["--endpoint", "-e"],
    "AWS_ENDPOINT_URL_IOT_DATA_PLANE": ["--endpoint", "-e"],
    "AWS_CA_BUNDLE": ["--rootCA", "-r", "--ca"],
    "DEFENDER_CERTIFICATE_FILE": ["--cert", "-c", "--certificate"],
    "DEFENDER_PRIVATE_KEY_FILE": ["--key", "-k", "--private-key"],
    "DEFENDER_CLIENT_ID": ["--client_id", "-id", "--client-id"],
    "AWS_REGION": ["--signing-region", "-se"],
    "HTTPS_PROXY": ["--proxy-host", "-ph"],
    "DEFENDER_TRANSPORT": ["--transport"],
    "DEFENDER_CONNECTION": ["--connection"],
    "DEFENDER_KEEP_ALIVE_SECONDS": ["--keep-alive"],
    "DEFENDER_MQTT_VERSION": ["--mqtt-version"],
    "DEFENDER_ACKNOWLEDGE": ["--acknowledge"],
    "DEFENDER_THING_NAME": ["--thing_name", "-t", "--thing-name"],
    "AWS_IOT_THING_NAME": ["--thing_name"],
    "SAMPLE_INTERVAL_SECONDS": ["--interval", "-i"],
    "DEFENDER_MINIMUM_INTERVAL_SECONDS": ["--minimum-interval"],
    "DEFENDER_NAMES": ["--short_tags", "-s", "--short-names"],
    "DEFENDER_FORMAT": ["--format", "-f"],
    "DEFENDER_CUSTOM_METRICS": ["--custom-metrics", "-cm", "--include-custom-metrics"],
    "DEFENDER_TOPIC": ["--topic"],
    "DEFENDER_STATE_DIRECTORY": ["--state-directory"],
    "PROCFS_PATH": ["--procfs"],
    "AWS_LAMBDA_LOG_FORMAT": ["--log-format"],
    "AWS_LAMBDA_LOG_LEVEL": ["--verbosity"],
  ]

  private static let clientIDNames = spellings["DEFENDER_CLIENT_ID"] ?? []
  private let typed: [String]
  private let inherited: Environment

  /// Creates the names for a command line, which ``PythonCommandLine`` has expanded, and the environment below it.
  init(typed: [String], over inherited: Environment) {
    self.typed = typed
    self.inherited = inherited
  }

  /// How messages name each variable: by the option as it was typed, by the variable if that was set, or by both.
  var texts: [String: String] {
    let others = Self.spellings.filter { variable, _ in inherited.value(variable) == nil }
      .compactMapValues(\.first)
    return Self.texts(others.merging(typedOptions) { $1 })
  }

  /// As ``texts``, but only for the variables whose option was typed.
  var textsOfTypedOptions: [String: String] { Self.texts(typedOptions) }

  private static func texts(_ options: [String: String]) -> [String: String] {
    var texts = options
    for (variable, option) in options { texts[variable] = "\(option) (or \(variable))" }
    return texts
  }

  /// The option that was typed last for each variable.
  var typedOptions: [String: String] {
    var options: [String: String] = [:]
    for (variable, names) in Self.spellings { options[variable] = typed.last(where: names.contains) }
    // Without a thing's name, the client id is one.
    options["DEFENDER_THING_NAME"] =
      options["DEFENDER_THING_NAME"] ?? typed.last(where: Self.clientIDNames.contains)
    return options
  }
}
