import ArgumentParser
import DefenderAgent
import Glibc
import Platform

/// `defender agent`: the agent as a daemon, with the Python agent's command line.
struct AgentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent",
    abstract: "Reports this device to AWS IoT Device Defender until it is stopped.",
    discussion: """
      Accepts the whole command line of AWS's Python agent (agent.py), in all spellings, including @file. Publishes over MQTT \
      with the device's certificate (port 8883 or 443), over a signed WebSocket (--use-websocket), or over HTTPS \
      (--transport https). The first sample isn't published; it is the baseline of the first report's deltas.

      Every option also has an environment variable, which bootstrap reads, too. An option overrides its variable.

      Examples:
        defender agent -e abc-ats.iot.eu-central-1.amazonaws.com \\
          -r AmazonRootCA1.pem -c device.pem -k device.key -id pump-7 -f json -i 300
        defender agent @agent_args.txt
        defender agent -e abc-ats.iot.eu-central-1.amazonaws.com -t pump-7 \\
          --use-websocket -se eu-central-1
        defender agent --dry-run -f json -i 5

      Exit status: 0 stopped by a signal; 1 with --once: the report wasn't made or published; 2 it couldn't start; 64 wrong \
      command line; 74 with --dry-run: a report couldn't be written.
      """)

  @OptionGroup(title: "Connection") var connection: AgentConnectionOptions
  @OptionGroup(title: "Reports") var report: AgentReportOptions

  @OptionGroup(title: "Operation") var operation: AgentOperationOptions

  func run() throws {
    do {
      let environment = try environment(over: .ofThisProcess)
      let log = Log(environment)
      let shutdown = try ShutdownSignal(handlesHangup: !report.dryRun)
      try becomeDaemon(stoppedBy: shutdown)
      let time = SystemWaiter(shutdown: shutdown)
      if report.dryRun {
        log.becomeDaemonLog(environment)
        warnOfUnknownVariables(in: environment, log: log)
        let isWhole = try DryRun(environment, cborFile: "cbor_metrics").run(
          interval: report.interval ?? 300, once: operation.once, time: time, log: log)
        guard isWhole else { throw ExitCode(CommandFailure.Status.failed.rawValue) }
      } else {
        surviveFailedWrites()
        var agent = try Agent(environment, time: time, log: log, once: operation.once)
        guard try agent.run() else { throw ExitCode(CommandFailure.Status.failed.rawValue) }
      }
    } catch let error as ExitCode {
      throw error
    } catch let error as ConfigurationError {
      let mistakes = error.sentences(namingOptions: optionsByVariable)
      let endpoint = error.mistakes.contains { $0.variable == "DEFENDER_MQTT_ENDPOINT" }
      let hint =
        endpoint
        ? "To find the account's endpoint, run: aws iot describe-endpoint --endpoint-type iot:Data-ATS"
        : "For a list of options, run: defender agent --help"
      throw CommandFailure((mistakes + [hint]).joined(separator: "\n  "), status: .notRun)
    } catch {
      throw CommandFailure("\(error)", status: .notRun)
    }
  }

  /// Returns the environment with the options applied to it.
  func environment(over inherited: Environment) throws -> Environment {
    var variables = inherited.all
    try connection.set(&variables)
    try report.set(&variables, clientID: connection.clientID)
    try operation.set(&variables)
    return Environment(variables)
  }
}

/// The options for how the agent runs and what it logs.
struct AgentOperationOptions: ParsableArguments {
  @Flag(help: "Make one report at once, publish it, and exit.")
  var once = false

  @Option(
    help: ArgumentHelp("The format of log lines: text or json (default: text).", valueName: "format"),
    completion: .list(["text", "json"]))
  var logFormat: String?

  @Option(
    help: ArgumentHelp(
      "The log level: NoLogs, Fatal, Error, Warn, Info, Debug or Trace (default: Info).",
      valueName: "level"),
    completion: .list(["NoLogs", "Fatal", "Error", "Warn", "Info", "Debug", "Trace"]))
  var verbosity: String?

  func set(_ variables: inout [String: String]) throws {
    if let logFormat {
      guard ["text", "json"].contains(logFormat.lowercased()) else {
        throw CommandFailure("--log-format is '\(logFormat)'; expected text or json.", status: .notRun)
      }
      variables["AWS_LAMBDA_LOG_FORMAT"] = logFormat
    }
    if let verbosity {
      let levels = [
        "nologs": "FATAL", "trace": "TRACE", "debug": "DEBUG", "info": "INFO", "warn": "WARN",
        "error": "ERROR", "fatal": "FATAL",
      ]
      guard let level = levels[verbosity.lowercased()] else {
        throw CommandFailure(
          "--verbosity is '\(verbosity)'; expected NoLogs, Fatal, Error, Warn, Info, Debug or Trace.",
          status: .notRun)
      }
      variables["AWS_LAMBDA_LOG_LEVEL"] = level
    }
  }
}

/// The option that sets each variable, because users of the command line may not know the variables.
let optionsByVariable = [
  "DEFENDER_MQTT_ENDPOINT": "--endpoint", "AWS_CA_BUNDLE": "--rootCA", "DEFENDER_CERTIFICATE_FILE": "--cert",
  "DEFENDER_PRIVATE_KEY_FILE": "--key", "DEFENDER_CLIENT_ID": "--client_id", "AWS_REGION": "--signing-region",
  "DEFENDER_CONNECTION": "--connection", "DEFENDER_KEEP_ALIVE_SECONDS": "--keep-alive",
  "DEFENDER_ACKNOWLEDGE": "--acknowledge", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "--endpoint",
  "DEFENDER_THING_NAME": "--thing_name", "AWS_IOT_THING_NAME": "--thing_name", "DEFENDER_FORMAT": "--format",
  "DEFENDER_TOPIC": "--topic", "SAMPLE_INTERVAL_SECONDS": "--interval", "PROCFS_PATH": "--procfs",
  "DEFENDER_MINIMUM_INTERVAL_SECONDS": "--minimum-interval", "DEFENDER_TRANSPORT": "--transport",
  "DEFENDER_STATE_DIRECTORY": "--state-directory",
]

/// The names of the transports that need no Greengrass nucleus.
private let transports = Transport.all.filter { $0 != .greengrass }.map(\.name)

/// The options for the destination of reports and for the device's identity.
struct AgentConnectionOptions: ParsableArguments {
  @Option(
    name: [.customShort("e"), .long],
    help: ArgumentHelp("The account's AWS IoT endpoint, host or host:port.", valueName: "endpoint"))
  var endpoint: String?

  @Option(
    name: [.customShort("r"), .customLong("rootCA"), .customLong("ca")],
    help: ArgumentHelp(
      "PEM file of the authorities to trust (default: Amazon's, then the system's).", valueName: "file"),
    completion: .file())
  var rootCA: String?

  @Option(
    name: [.customShort("c"), .customLong("cert"), .customLong("certificate")],
    help: ArgumentHelp("PEM file of the device's certificate.", valueName: "file"), completion: .file())
  var certificate: String?

  @Option(
    name: [.customShort("k"), .customLong("key"), .customLong("private-key")],
    help: ArgumentHelp("PEM file of the certificate's private key.", valueName: "file"), completion: .file())
  var key: String?

  @Option(
    name: [.customLong("id", withSingleDash: true), .customLong("client_id"), .customLong("client-id")],
    help: ArgumentHelp(
      "MQTT client id; also the thing name if --thing_name is missing (default: the thing name and -defender).",
      valueName: "id"))
  var clientID: String?

  @Flag(
    name: [.customShort("w"), .customLong("use-websocket")],
    help: "MQTT over a WebSocket on port 443, signed with AWS credentials.")
  var usesWebSocket = false

  @Option(
    name: [.customLong("se", withSingleDash: true), .customLong("signing-region")],
    help: ArgumentHelp("The region to sign for (default: AWS_REGION, else us-east-1).", valueName: "region"))
  var signingRegion: String?

  @Option(
    name: [.customLong("ph", withSingleDash: true), .customLong("proxy-host")],
    help: ArgumentHelp("The HTTP proxy to connect through.", valueName: "host"))
  var proxyHost: String?

  @Option(
    name: [.customLong("pp", withSingleDash: true), .customLong("proxy-port")],
    help: ArgumentHelp("The proxy's port.", valueName: "port"))
  var proxyPort: UInt16 = 8_080

  @Option(
    help: ArgumentHelp("\(transports.joined(separator: " or ")) (default: mqtt).", valueName: "transport"),
    completion: .list(transports))
  var transport: String?

  @Option(
    name: .customLong("connection"),
    help: ArgumentHelp(
      "persistent: stay connected; per-report: connect for each report and disconnect afterwards "
        + "(default: persistent).",
      valueName: "mode"),
    completion: .list(["persistent", "per-report"]))
  var mode: String?

  @Option(
    help: ArgumentHelp(
      "The MQTT keep-alive interval, 30 to 1200 (default: the report interval plus 60).",
      valueName: "seconds"))
  var keepAlive: Int?

  @Option(
    help: ArgumentHelp(
      "What moves the baseline: publish (the broker acknowledged) or accepted (Device Defender accepted) "
        + "(default: publish).",
      valueName: "event"),
    completion: .list(["publish", "accepted"]))
  var acknowledge: String?

  /// Whether an option names the destination of an MQTT connection or the identity there.
  var namesConnection: Bool {
    usesWebSocket || [endpoint, certificate, key, clientID].contains { $0 != nil }
  }

  func set(_ variables: inout [String: String]) throws {
    let transport = transport ?? variables["DEFENDER_TRANSPORT"] ?? Transport.mqtt.name
    variables["DEFENDER_TRANSPORT"] = transport
    if let endpoint {
      let target = usesWebSocket && !endpoint.contains("://") ? "wss://\(endpoint)" : endpoint
      variables["DEFENDER_MQTT_ENDPOINT"] = target
      if transport == Transport.https.name {
        variables["AWS_ENDPOINT_URL_IOT_DATA_PLANE"] = httpsURL(endpoint)
      }
    }
    let others = [
      "AWS_CA_BUNDLE": rootCA, "DEFENDER_CERTIFICATE_FILE": certificate, "DEFENDER_PRIVATE_KEY_FILE": key,
      "DEFENDER_CLIENT_ID": clientID, "AWS_REGION": signingRegion, "DEFENDER_CONNECTION": mode,
      "DEFENDER_KEEP_ALIVE_SECONDS": keepAlive.map { String($0) }, "DEFENDER_ACKNOWLEDGE": acknowledge,
      "HTTPS_PROXY": proxyHost.map { "http://\($0):\(proxyPort)" },
    ]
    for case (let name, let value?) in others { variables[name] = value }
    if let proxyHost {
      // The message omits the value, because it may contain a password.
      guard !proxyHost.isEmpty, !proxyHost.contains(where: { "/?# ".contains($0) }) else {
        throw CommandFailure(
          "--proxy-host isn't a host; expected a name, an address, and user:password@ before them.",
          status: .notRun)
      }
      guard proxyPort > 0 else {
        throw CommandFailure("--proxy-port is 0; expected 1 to 65535.", status: .notRun)
      }
      // The lower-case variable would take precedence, but an option must win.
      variables["https_proxy"] = nil
    }
    if usesWebSocket, variables["AWS_REGION"] == nil, variables["AWS_DEFAULT_REGION"] == nil {
      variables["AWS_REGION"] = "us-east-1"
    }
  }

  /// Returns the URL of the endpoint for HTTPS. Port 8443 accepts client certificates without ALPN.
  private func httpsURL(_ endpoint: String) -> String {
    if endpoint.contains("://") { return endpoint }
    return certificate != nil && !endpoint.contains(":") ? "https://\(endpoint):8443" : "https://\(endpoint)"
  }
}

/// The options for the contents and the schedule of reports.
struct AgentReportOptions: ParsableArguments {
  @Option(
    name: [.customShort("t"), .customLong("thing_name"), .customLong("thing-name")],
    help: ArgumentHelp(
      "The name of the thing that the reports describe (default: the client id).", valueName: "name"))
  var thingName: String?

  @Flag(
    name: [.customShort("d"), .customLong("dryrun"), .customLong("dry-run")],
    help: "Print reports instead of publishing them; CBOR is also written to the file cbor_metrics.")
  var dryRun = false

  @Option(
    name: [.customShort("i"), .long],
    help: ArgumentHelp(
      "Seconds between reports (default: 300); less is raised to the minimum.", valueName: "seconds"))
  var interval: Double?

  @Option(
    help: ArgumentHelp(
      "The minimum interval; Device Defender throttles below 300 (default: 300).",
      valueName: "seconds"))
  var minimumInterval: Double?

  @Flag(
    name: [.customShort("s"), .customLong("short_tags"), .customLong("short-names")],
    help: "Use short field names.")
  var shortNames = false

  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp("json or cbor (default: json).", valueName: "format"),
    completion: .list(["json", "cbor"]))
  var format: String?

  @Flag(
    name: [
      .customLong("cm", withSingleDash: true), .customLong("include-custom-metrics"),
      .customLong("custom-metrics"),
    ],
    help: "Add the custom metric cpu_usage.")
  var customMetrics = false

  @Option(
    help: ArgumentHelp(
      "The topic; {thing} and {format} are replaced (default: Device Defender's).", valueName: "template"))
  var topic: String?

  @Option(
    help: ArgumentHelp(
      "The directory that keeps the baseline and the last report id across restarts (default: none).",
      valueName: "directory"),
    completion: .directory)
  var stateDirectory: String?

  @Option(
    help: ArgumentHelp("The procfs to read (default: /proc).", valueName: "path"), completion: .directory)
  var procfs: String?

  func set(_ variables: inout [String: String], clientID: String?) throws {
    if shortNames { variables["DEFENDER_NAMES"] = "short" }
    if customMetrics { variables["DEFENDER_CUSTOM_METRICS"] = "cpu_usage" }
    let others = [
      "DEFENDER_THING_NAME": thingName ?? clientID, "DEFENDER_FORMAT": format, "DEFENDER_TOPIC": topic,
      "DEFENDER_STATE_DIRECTORY": stateDirectory, "PROCFS_PATH": procfs,
      "SAMPLE_INTERVAL_SECONDS": interval.map { "\($0)" },
      "DEFENDER_MINIMUM_INTERVAL_SECONDS": minimumInterval.map { "\($0)" },
    ]
    for case (let name, let value?) in others { variables[name] = value }
  }
}
