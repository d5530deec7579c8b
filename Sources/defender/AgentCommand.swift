import ArgumentParser
import DefenderAgent
import DeviceDefender
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

      Almost every option has an environment variable, which bootstrap reads, too. An option overrides its variable. \
      --print-environment prints the environment file that does the same, for a service.

      Examples:
        defender agent --dry-run --once
        defender agent -e abc-ats.iot.eu-central-1.amazonaws.com \\
          -r AmazonRootCA1.pem -c device.pem -k device.key -id pump-7 -f json -i 300
        defender agent @agent_args.txt
        defender agent -e abc-ats.iot.eu-central-1.amazonaws.com -t pump-7 \\
          --use-websocket -se eu-central-1
        defender agent @agent_args.txt --print-environment >agent.env

      Exit status: 0 stopped by a signal; 1 with --once: the report wasn't made or published; 2 it couldn't start; 64 wrong \
      command line; 74 with --dry-run: a report couldn't be written.
      """)

  @OptionGroup(title: "Connection") var connection: AgentConnectionOptions
  @OptionGroup(title: "Reports") var report: AgentReportOptions

  @OptionGroup(title: "Operation") var operation: AgentOperationOptions

  func run() throws {
    do {
      let environment = try environment(over: .ofThisProcess)
      if operation.printEnvironment { return try printFile(of: environment, over: .ofThisProcess) }
      let log = Log(environment)
      let shutdown = try ShutdownSignal(handlesHangup: !report.dryRun)
      try becomeDaemon(stoppedBy: shutdown)
      let time = SystemWaiter(shutdown: shutdown)
      if report.dryRun {
        log.becomeDaemonLog(environment)
        warnOfUnknownVariables(in: environment, log: log)
        let isWhole = try DryRun(environment, cborFile: "cbor_metrics").run(
          once: operation.once, time: time, log: log)
        guard isWhole else { throw ExitCode(CommandFailure.Status.failed.rawValue) }
      } else {
        surviveFailedWrites()
        var agent = try Agent(environment, time: time, log: log, once: operation.once)
        guard try agent.run() else { throw ExitCode(CommandFailure.Status.failed.rawValue) }
      }
    } catch let error as ExitCode {
      throw error
    } catch let error as ConfigurationError {
      let mistakes = error.sentences(namingOptions: optionNames(over: .ofThisProcess).texts)
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

  func validate() throws {
    guard operation.printEnvironment, report.dryRun || operation.once else { return }
    throw ValidationError(
      "--print-environment is for a service, and \(report.dryRun ? "--dry-run" : "--once") has no variable. Omit one of them."
    )
  }

  /// Prints the environment file that does what the options do.
  private func printFile(of variables: Environment, over inherited: Environment) throws {
    let (errors, warnings) = EnvironmentFile.mistakes(in: variables)
    guard errors.isEmpty else { throw ConfigurationError(mistakes: errors) }
    let file = try EnvironmentFile(
      alone: try environment(over: Environment([:])), variables: variables, over: inherited)
    let console = Console()
    let names = optionNames(over: inherited).texts
    for sentence in ConfigurationError(mistakes: warnings).sentences(namingOptions: names) {
      console.error("defender: on this machine, \(sentence)")
    }
    _ = console.output(file.text)
  }

  /// How messages name the variables: as this process's command line has them.
  private func optionNames(over inherited: Environment) -> AgentOptionNames {
    // The arguments were expanded before, so this doesn't fail.
    let expanded = try? PythonCommandLine(Array(CommandLine.arguments.dropFirst(2)), for: .agent)
    return AgentOptionNames(typed: expanded?.arguments ?? [], over: inherited)
  }

  /// Returns the environment with the options applied to it. Throws if an option is empty: an empty variable means none.
  func environment(over inherited: Environment) throws -> Environment {
    var variables = inherited.all
    try connection.set(&variables)
    try report.set(&variables, clientID: connection.clientID)
    try operation.set(&variables)
    try rejectEmptyOptions(variables, over: inherited)
    return Environment(variables)
  }
}

extension AgentCommand {
  /// Throws if an option has set a variable to an empty text.
  private func rejectEmptyOptions(_ variables: [String: String], over inherited: Environment) throws {
    var empty = variables.filter { $0.value.isEmpty && inherited[$0.key] != "" }.map(\.key).sorted()
    // One option may set both.
    if report.thingName == nil, empty.contains("DEFENDER_CLIENT_ID") {
      empty.removeAll { $0 == "DEFENDER_THING_NAME" }
    }
    guard !empty.isEmpty else { return }
    throw ConfigurationError(
      mistakes: empty.map {
        ConfigurationError.Mistake(variable: $0, problem: "is empty; give it a value, or omit it")
      })
  }
}

/// Returns the help of an option that sets `variables`.
func agentHelp(_ text: String, sets variables: String..., valueName: String? = nil) -> ArgumentHelp {
  ArgumentHelp("\(text) Variable: \(variables.joined(separator: ", ")).", valueName: valueName)
}

/// The names of the transports that need no Greengrass nucleus.
private let transports = Transport.all.filter { $0 != .greengrass }.map(\.name)

/// The options for the destination of reports and for the device's identity.
struct AgentConnectionOptions: ParsableArguments {
  @Option(
    name: [.customShort("e"), .long],
    help: agentHelp(
      "The account's AWS IoT endpoint, host or host:port.", sets: "DEFENDER_MQTT_ENDPOINT",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE",
      valueName: "endpoint"))
  var endpoint: String?

  @Option(
    name: [.customShort("r"), .customLong("rootCA"), .customLong("ca")],
    help: agentHelp(
      "PEM file of the authorities to trust (default: Amazon's, then the system's).", sets: "AWS_CA_BUNDLE",
      valueName: "file"),
    completion: .file())
  var rootCA: String?

  @Option(
    name: [.customShort("c"), .customLong("cert"), .customLong("certificate")],
    help: agentHelp(
      "PEM file of the device's certificate.", sets: "DEFENDER_CERTIFICATE_FILE",
      valueName: "file"), completion: .file())
  var certificate: String?

  @Option(
    name: [.customShort("k"), .customLong("key"), .customLong("private-key")],
    help: agentHelp(
      "PEM file of the certificate's private key.", sets: "DEFENDER_PRIVATE_KEY_FILE",
      valueName: "file"), completion: .file())
  var key: String?

  @Option(
    name: [.customLong("id", withSingleDash: true), .customLong("client_id"), .customLong("client-id")],
    help: agentHelp(
      "The MQTT client id; without --thing_name also the thing name (default: --thing_name with '-defender' appended).",
      sets: "DEFENDER_CLIENT_ID",
      valueName: "id"))
  var clientID: String?

  @Flag(
    name: [.customShort("w"), .customLong("use-websocket")],
    help: agentHelp(
      "MQTT over a WebSocket on port 443, signed with AWS credentials; wss:// before the host in the variable.",
      sets: "DEFENDER_MQTT_ENDPOINT"))
  var usesWebSocket = false

  @Option(
    name: [.customLong("se", withSingleDash: true), .customLong("signing-region")],
    help: agentHelp(
      "The region to sign for (default: AWS_REGION, otherwise the region in the endpoint's name).",
      sets: "AWS_REGION",
      valueName: "region"))
  var signingRegion: String?

  @Option(
    name: [.customLong("ph", withSingleDash: true), .customLong("proxy-host")],
    help: agentHelp(
      "The HTTP proxy to connect through.", sets: "HTTPS_PROXY",
      valueName: "host"))
  var proxyHost: String?

  @Option(
    name: [.customLong("pp", withSingleDash: true), .customLong("proxy-port")],
    help: agentHelp(
      "The proxy's port (default: 8080).", sets: "HTTPS_PROXY",
      valueName: "port"),
    transform: { text in
      guard let port = UInt16(text), port > 0 else {
        throw ValidationError("expected 1 to 65535")
      }
      return port
    })
  var proxyPort: UInt16 = 8_080

  @Option(
    help: agentHelp(
      "\(transports.joined(separator: " or ")) (default: mqtt).", sets: "DEFENDER_TRANSPORT",
      valueName: "transport"),
    completion: .list(transports))
  var transport: String?

  @Option(
    name: .customLong("connection"),
    help: agentHelp(
      "persistent: stay connected; per-report: connect for each report and disconnect afterwards "
        + "(default: persistent).",
      sets: "DEFENDER_CONNECTION", valueName: "mode"),
    completion: .list(["persistent", "per-report"]))
  var mode: String?

  @Option(
    help: agentHelp(
      "The MQTT keep-alive interval, 30 to 1200 (default: the report interval plus 60).",
      sets: "DEFENDER_KEEP_ALIVE_SECONDS",
      valueName: "seconds"))
  var keepAlive: String?

  @Option(
    help: agentHelp(
      "The version of MQTT, 3 or 5 (default: 5; a broker that refuses it gets 3).",
      sets: "DEFENDER_MQTT_VERSION", valueName: "version"),
    completion: .list(["3", "5"]))
  var mqttVersion: String?

  @Option(
    help: agentHelp(
      "When a report counts as delivered: publish (the broker acknowledged it) or accepted (Device Defender "
        + "accepted it) (default: publish).",
      sets: "DEFENDER_ACKNOWLEDGE", valueName: "event"),
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
      "DEFENDER_KEEP_ALIVE_SECONDS": keepAlive, "DEFENDER_MQTT_VERSION": mqttVersion,
      "DEFENDER_ACKNOWLEDGE": acknowledge,
      "HTTPS_PROXY": proxyHost.map { "http://\($0):\(proxyPort)" },
    ]
    for case (let name, let value?) in others { variables[name] = value }
    if let proxyHost {
      // The message omits the value, because it may contain a password.
      guard !proxyHost.isEmpty, !proxyHost.contains(where: { "/?# ".contains($0) }) else {
        throw ConfigurationError(mistakes: [
          ConfigurationError.Mistake(
            variable: "HTTPS_PROXY",
            problem: "isn't a host; expected a name, an address, and user:password@ before them")
        ])
      }
      // The lower-case variable would take precedence, but an option must win.
      variables["https_proxy"] = nil
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
    help: agentHelp(
      "The name of the thing that the reports describe (default: the value of --client_id).",
      sets: "DEFENDER_THING_NAME",
      valueName: "name"))
  var thingName: String?

  @Flag(
    name: [.customShort("d"), .customLong("dryrun"), .customLong("dry-run")],
    help: "Print reports instead of publishing them; CBOR is also written to the file cbor_metrics.")
  var dryRun = false

  @Option(
    name: [.customShort("i"), .long],
    help: agentHelp(
      "Seconds between reports (default: 300). A shorter interval is raised to the minimum, except with --dry-run.",
      sets: "SAMPLE_INTERVAL_SECONDS",
      valueName: "seconds"))
  var interval: String?

  @Option(
    help: agentHelp(
      "The minimum interval; Device Defender throttles below 300 (default: 300).",
      sets: "DEFENDER_MINIMUM_INTERVAL_SECONDS",
      valueName: "seconds"))
  var minimumInterval: String?

  @Flag(
    name: [.customShort("s"), .customLong("short_tags"), .customLong("short-names")],
    help: agentHelp("Use short field names.", sets: "DEFENDER_NAMES"))
  var shortNames = false

  @Option(
    name: [.customShort("f"), .long],
    help: agentHelp(
      "json or cbor (default: json).", sets: "DEFENDER_FORMAT",
      valueName: "format"),
    completion: .list(["json", "cbor"]))
  var format: String?

  @Option(
    name: [
      .customLong("cm", withSingleDash: true), .customLong("include-custom-metrics"),
      .customLong("custom-metrics"),
    ],
    help: agentHelp(
      "Add custom metrics (default: none; without a list cpu_usage).", sets: "DEFENDER_CUSTOM_METRICS",
      valueName: "list"), completion: .list(SystemMetric.names))
  var customMetrics: String?

  @Option(
    help: agentHelp(
      "The topic; {thing} and {format} are replaced (default: Device Defender's).", sets: "DEFENDER_TOPIC",
      valueName: "template"))
  var topic: String?

  @Option(
    help: agentHelp(
      "The directory that keeps the baseline and the last report id across restarts (default: none).",
      sets: "DEFENDER_STATE_DIRECTORY",
      valueName: "directory"),
    completion: .directory)
  var stateDirectory: String?

  @Option(
    help: agentHelp(
      "The procfs to read (default: /proc).", sets: "PROCFS_PATH",
      valueName: "path"), completion: .directory)
  var procfs: String?

  func set(_ variables: inout [String: String], clientID: String?) throws {
    if shortNames { variables["DEFENDER_NAMES"] = "short" }
    let others = [
      "DEFENDER_THING_NAME": thingName ?? clientID, "DEFENDER_FORMAT": format, "DEFENDER_TOPIC": topic,
      "DEFENDER_STATE_DIRECTORY": stateDirectory, "PROCFS_PATH": procfs,
      "SAMPLE_INTERVAL_SECONDS": interval, "DEFENDER_MINIMUM_INTERVAL_SECONDS": minimumInterval,
      "DEFENDER_CUSTOM_METRICS": customMetrics,
    ]
    for case (let name, let value?) in others { variables[name] = value }
  }
}
