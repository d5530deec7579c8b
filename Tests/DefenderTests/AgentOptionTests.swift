import ArgumentParser
import DefenderAgent
import Foundation
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import defender

/// A command line of the agent, and the environment that it makes.
private struct CommandLineOfAgent {
  let typed: [String]
  let command: AgentCommand

  init(_ arguments: [String]) throws {
    typed = try PythonCommandLine(arguments).arguments
    command = try AgentCommand.parse(typed)
  }

  /// Returns the messages about the mistakes in the options and in `inherited`.
  func messages(over inherited: [String: String]) throws -> [String] {
    var mistakes: [ConfigurationError.Mistake] = []
    do {
      let variables = try command.environment(over: Environment(inherited))
      let configuration = Configuration(variables, transport: .mqtt, noting: &mistakes)
      if mistakes.isEmpty {
        _ = try configuration.publisher(time: SystemWaiter(shutdown: nil), log: Log { _, _ in })
      }
    } catch let error as ConfigurationError {
      mistakes = error.mistakes
    } catch let failure as CommandFailure {
      return [failure.description]
    }
    let names = AgentOptionNames(typed: typed, over: Environment(inherited))
    return ConfigurationError(mistakes: mistakes).sentences(namingOptions: names.texts)
  }
}

/// Runs `script` with a POSIX shell, and returns its standard output.
private func shell(_ script: String, _ arguments: [String]) throws -> String {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = ["-c", script, "sh"] + arguments
  process.environment = [:]
  process.standardOutput = output
  try process.run()
  let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0)
  return String(decoding: bytes, as: UTF8.self)
}

/// Returns the variables of `text` by systemd's rules for EnvironmentFile= (systemd.exec(5)).
private func variablesBySystemd(_ text: String) throws -> [String: String] {
  var variables: [String: String] = [:]
  for line in text.split(separator: "\n") where !line.hasPrefix("#") && !line.hasPrefix(";") {
    let equals = try #require(line.firstIndex(of: "="))
    var rest = line[line.index(after: equals)...]
    var value = ""
    let isQuoted = rest.first == "\""
    if isQuoted { rest = rest.dropFirst().dropLast() }
    while let character = rest.popFirst() {
      if character == "\\", let next = rest.first {
        // Within quotes, a backslash before any other character stays.
        if isQuoted, !"\"\\`$".contains(next) {
          value.append(character)
        } else {
          rest.removeFirst(); value.append(next)
        }
      } else {
        value.append(character)
      }
    }
    variables[String(line[..<equals])] = value
  }
  return variables
}

@Suite struct `the agent's options` {
  /// Options with values that need quoting if possible, and the option's long name.
  private static let examples: [(option: String, arguments: [String])] = [
    ("endpoint", ["-e", "abc-ats.iot.eu-central-1.amazonaws.com:443"]),
    ("rootCA", ["-r", "/etc/a 'file' with \"quotes\".pem"]),
    ("cert", ["-c", "/etc/$HOME/c.pem", "-k", "/k"]),
    ("key", ["-k", "/etc/back\\slash\\$`id`.key", "-c", "/c"]), ("client_id", ["-id", "pump-7"]),
    ("use-websocket", ["-w", "-e", "h", "-se", "eu-west-1"]), ("signing-region", ["-se", "eu-west-1"]),
    ("proxy-host", ["-ph", "user:p%s$s!word@proxy"]), ("proxy-port", ["-ph", "proxy", "-pp", "3128"]),
    ("transport", ["--transport", "https", "-e", "h", "-c", "/c", "-k", "/k"]),
    ("connection", ["--connection", "per-report"]), ("keep-alive", ["--keep-alive", "600"]),
    ("mqtt-version", ["--mqtt-version", "3"]),
    ("acknowledge", ["--acknowledge", "accepted"]), ("thing_name", ["-t", "pump:7"]),
    ("interval", ["-i", "600.5"]), ("minimum-interval", ["--minimum-interval", "60"]), ("short_tags", ["-s"]),
    ("format", ["-f", "cbor"]), ("custom-metrics", ["-cm", "cpu_usage,free=disk_free:/var/my dir"]),
    ("topic", ["--topic", "$aws/rules/my rule/{thing}/{format}"]),
    ("state-directory", ["--state-directory", "/var/a b"]),
    ("procfs", ["--procfs", "/host/proc"]), ("log-format", ["--log-format", "json"]),
    ("verbosity", ["--verbosity", "Debug"]),
  ]
  /// Options that a service has no use for.
  private static let withoutVariable = ["dry-run", "once", "print-environment", "help", "version"]

  private static func options() throws -> [(names: [String], help: String)] {
    let agent = try #require(CommandHelp.all.first { $0.description == "agent" })
    return agent.options.map { option in
      ((option["names"]?.array ?? []).compactMap { $0["name"]?.string }, option["abstract"]?.string ?? "")
    }
  }

  @Test(arguments: examples.map(\.arguments))
  func `survive the way through an environment file`(arguments: [String]) throws {
    let line = try CommandLineOfAgent(arguments)
    let direct = try line.command.environment(over: Environment([:]))
    let file = try EnvironmentFile(alone: direct, variables: direct, over: Environment([:])).text
    #expect(try variablesBySystemd(file) == direct.all)
    let directory = try TemporaryDirectory()
    let path = try directory.write("agent.env", file)
    let printed = try shell("set -a; . \"$1\"; exec env -0", [path])
    var read: [String: String] = [:]
    for entry in printed.split(separator: "\0") {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      read[String(parts[0])] = String(parts[1])
    }
    // The shell's own.
    for name in ["PWD", "OLDPWD", "SHLVL", "_"] { read[name] = nil }
    #expect(read == direct.all)
    // The same variables are the same configuration: the agent reads nothing else.
    let mistakes = { (variables: [String: String]) in
      var mistakes: [ConfigurationError.Mistake] = []
      _ = Configuration(Environment(variables), transport: .mqtt, noting: &mistakes)
      return mistakes
    }
    #expect(mistakes(read) == mistakes(direct.all))
  }

  @Test func `are all tried, and each one's help names its variable`() throws {
    for option in try Self.options() where !option.names.contains(where: Self.withoutVariable.contains) {
      #expect(Self.examples.contains { option.names.contains($0.option) }, "\(option.names)")
      let variables = AgentOptionNames.spellings.filter { _, spellings in
        spellings.contains { spelled in option.names.contains { "-\($0)" == spelled || "--\($0)" == spelled }
        }
      }
      let isNamed =
        variables.keys.contains { option.help.contains($0) } || option.names.contains("proxy-port")
        || option.names.contains("use-websocket")
      #expect(isNamed && option.help.contains("Variable: "), "\(option.names): \(option.help)")
    }
  }

  @Test func `print absolute paths, and name what they leave out`() throws {
    let inherited = Environment([
      "DEFENDER_FORMAT": "cbor", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "HOME": "/root",
    ])
    let command = try CommandLineOfAgent(["-c", "device.pem", "-k", "/k", "-i", "600"]).command
    let file = try EnvironmentFile(
      alone: command.environment(over: Environment([:])), variables: command.environment(over: inherited),
      over: inherited
    ).text
    let variables = try variablesBySystemd(file)
    #expect(variables["DEFENDER_CERTIFICATE_FILE"]?.hasPrefix("/") == true)
    #expect(variables["DEFENDER_CERTIFICATE_FILE"]?.hasSuffix("/device.pem") == true)
    #expect(variables["DEFENDER_FORMAT"] == nil && !file.contains("s3cr3t"))
    #expect(file.contains("not included: DEFENDER_FORMAT, AWS_SECRET_ACCESS_KEY."), "\(file)")
    #expect(throws: CommandFailure.self) {
      let environment = Environment(["DEFENDER_TOPIC": "a\nDEFENDER_FORMAT=cbor"])
      _ = try EnvironmentFile(alone: environment, variables: environment, over: Environment([:]))
    }
  }

  /// A configuration without mistakes.
  private static let valid = ["-e", "mqtt://127.0.0.1:1", "-t", "pump-7"]

  // Empty, of a wrong type, out of range.
  @Test(
    arguments: [
      ["-e", ""], ["-e", "a b"], ["--endpoint", "h:99999"], ["-r", ""], ["--ca", "/no/such/file"],
      ["-r", "/etc"],
      ["-c", ""], ["-c", "/etc", "-k", "/etc/hostname"],
      ["--certificate", "/no/such", "-k", "/etc/hostname"],
      ["-k", "", "-c", "/etc/hostname"], ["--key", "/no/such", "-c", "/etc/hostname"],
      ["--client-id", ""], ["-id", String(repeating: "x", count: 129)], ["-id", "a\tb"], ["-se", ""],
      ["-se", "EU", "-w", "-e", "h"], ["-ph", ""], ["--proxy-host", "http://h/"], ["--transport", ""],
      ["--transport", "smoke"], ["--transport", "greengrass"], ["--connection", ""],
      ["--connection", "never"],
      ["--keep-alive", ""], ["--keep-alive", "long"], ["--keep-alive", "29"], ["--keep-alive", "1201"],
      ["--mqtt-version", ""], ["--mqtt-version", "4"], ["--mqtt-version", "3.1.1"],
      ["--acknowledge", ""], ["--acknowledge", "maybe"], ["-t", ""], ["--thing-name", "a b"],
      ["-t", String(repeating: "x", count: 129)], ["-i", ""], ["-i", "often"], ["--interval", "0"],
      ["-i", "604801"], ["-i", "nan"], ["--minimum-interval", ""], ["--minimum-interval", "x"],
      ["--minimum-interval", "1e9"], ["-f", ""], ["--format", "xml"], ["-cm", ""],
      ["--custom-metrics", "mood"],
      ["--topic", ""], ["--topic", "a/#"], ["--topic", "{x}"], ["--state-directory", ""],
      ["--state-directory", "relative"], ["--procfs", ""], ["--procfs", "relative"], ["--log-format", ""],
      ["--log-format", "xml"], ["--verbosity", ""], ["--verbosity", "loud"],
    ])
  func `name a wrong value once, as it was typed`(arguments: [String]) throws {
    let line = try CommandLineOfAgent(Self.valid + arguments)
    let messages = try line.messages(over: [:])
    #expect(messages.count == 1, "\(messages)")
    #expect(messages.first?.hasPrefix(arguments[0] + " ") == true, "\(messages)")
  }

  @Test(arguments: [["-pp", ""], ["--proxy-port", "x"], ["-pp", "65536"], ["-w", "maybe"], ["-pp", "0"]])
  func `name a wrong value that isn't a text`(arguments: [String]) throws {
    let name = arguments[0] == "-w" ? "--use-websocket" : arguments[0] == "-pp" ? "-p" : arguments[0]
    do {
      _ = try CommandLineOfAgent(Self.valid + ["-ph", "h"] + arguments).command.environment(
        over: Environment([:]))
      Issue.record("it was accepted")
    } catch {
      let message = (error as? CommandFailure)?.description ?? AgentCommand.message(for: error)
      #expect(message.contains(name), "\(message)")
    }
  }

  /// Each variable with wrong values. Any text is valid for the others.
  private static let wrongValues: [Variable: [String]] = [
    .thingName: ["a b"], .awsThingName: ["a b"], .topic: ["a/#", "{x}"],
    .interval: ["often", "0", "604801", "nan"],
    .minimumInterval: ["x", "-1"], .jitter: ["yes", "2"], .format: ["xml"], .names: ["tiny"],
    .maximumListSize: ["x", "-1", "100001"], .maximumReportBytes: ["x", "511", "131073"],
    .procfs: ["relative"],
    .customMetrics: ["mood"], .customMetricsCommand: ["relative", "/no/such"],
    .stateDirectory: ["relative", "/etc/hostname"], .spoolBytes: ["x", "1", "65535", "104857601", "65536"],
    .acknowledge: ["maybe"], .confirmationSeconds: ["x", "-1", "301"],
    .certificateAuthorities: ["/no/such", "/etc"],
    .systemCertificateAuthorities: ["/no/such"], .allowPlainHTTP: ["yes"], .transport: ["smoke"],
    .mqttEndpoint: ["a b", "h:0", "ftp://h"], .clientID: ["a\tb"], .keepAliveSeconds: ["x", "29", "1201"],
    .commandTopic: ["a/#", "{x}", "$aws/things/{thing}/x"],
    .connection: ["never"], .mqttVersion: ["4", "3.1.1", "five"],
    .securityProfiles: ["relative", #"{"x":1}"#],
  ]
  /// Variables whose values are valid only together with others; ConfigurationTests and AccessTests have them.
  private static let inCombination: Set<Variable> = [
    .region, .defaultRegion, .accessKeyID, .secretAccessKey, .certificateFile, .privateKeyFile,
    .privateKeyPasswordFile, .roleAlias, .credentialsEndpoint, .dataPlaneEndpoint, .endpoint, .runtimeAPI,
    .componentName, .violationsTopic, .violationCommand,
  ]

  @Test(arguments: Variable.allCases)
  func `name a variable with a wrong value once, and treat an empty one as not set`(variable: Variable) throws
  {
    var base = ["DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1", "AWS_IOT_THING_NAME": "pump-7"]
    let line = try CommandLineOfAgent([])
    #expect(try line.messages(over: base).isEmpty)
    for value in Self.wrongValues[variable] ?? [] {
      let messages = try line.messages(over: base.merging([variable.rawValue: value]) { $1 })
      #expect(
        messages.count == 1 && messages.first?.hasPrefix("\(variable.rawValue) ") == true, "\(messages)")
    }
    #expect((Self.wrongValues[variable] == nil) == Self.inCombination.contains(variable))
    base[variable.rawValue] = nil
    let unset = try line.messages(over: base)
    #expect(try line.messages(over: base.merging([variable.rawValue: ""]) { $1 }) == unset)
  }
}
