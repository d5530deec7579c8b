import AWSClient
import ArgumentParser
import DefenderAgent
import DeviceDefender
import Glibc
import Platform
import WireFormats

/// `defender doctor`: checks everything that a report needs.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Checks step by step whether this machine can report, and explains how to fix problems.",
    discussion: """
      Takes the options of `defender agent`, in the same spellings, including @file, and the variables of bootstrap. In a \
      Greengrass component it also reads the component configuration. An option that names an endpoint or a certificate \
      makes MQTT the default transport, as for the agent. --dry-run, --once, --log-format and --verbosity have no effect.

      Checks the configuration, the thing name, whether Device Defender supports the transport and the interval, the \
      collection of metrics, the credentials or the certificate, DNS, TCP, TLS, the clock, and whether AWS IoT accepts the \
      signature, the certificate or the MQTT connection. Checks only what the transport uses. Prints one result for each \
      check: ok, warning, failed or skipped, and then what to do next. Shows no secret, and publishes nothing without \
      --publish.

      Over MQTT it connects with the agent's client id, because policies allow no other. This disconnects a running agent, \
      which then reconnects.

      Examples:
        defender doctor
        defender doctor -e abc-ats.iot.eu-central-1.amazonaws.com -t pump-7 \\
          -r AmazonRootCA1.pem -c device.pem -k device.key
        defender doctor @agent_args.txt
        defender doctor --publish --topic defender/test
        env DEFENDER_TRANSPORT=mqtt defender doctor --json

      Exit status: the number of failed checks, at most 63; 2 an option can't be used; 64 wrong command line; 74 the \
      output couldn't be written.
      """)

  @OptionGroup(title: "Connection, as for the agent") var connection: AgentConnectionOptions
  @OptionGroup(title: "Reports, as for the agent") var report: AgentReportOptions
  @OptionGroup(title: "Without effect", visibility: .hidden) var operation: AgentOperationOptions

  @Flag(help: "Publish a test message to --topic; its subscribers receive a line of JSON.")
  var publish = false

  @Flag(help: "Print one JSON object instead of lines.")
  var json = false

  @Option(help: ArgumentHelp("The time limit of each step, 0.1 to 600.", valueName: "seconds"))
  var timeout = 10.0

  func validate() throws {
    guard (0.1...600).contains(timeout) else {
      throw ValidationError("--timeout is \(timeout); expected a number of seconds from 0.1 to 600.")
    }
    guard publish else { return }
    guard let text = report.topic else {
      throw ValidationError("--publish needs --topic, which receives the test message.")
    }
    _ = try publishTopic(text, thing: "t")
  }

  /// Returns the topic of the test message.
  private func publishTopic(_ text: String, thing: String) throws -> Topic {
    guard let template = TopicTemplate(text) else {
      throw ValidationError("--topic is '\(text)'; the only allowed placeholders are {thing} and {format}.")
    }
    do throws(TopicError) {
      return try template.topic(thing: thing, format: report.format == "cbor" ? .cbor : .json)
    } catch {
      throw ValidationError("--topic: \(error).")
    }
  }

  /// Returns the environment with the options applied to it.
  private func environment(over inherited: Environment) throws -> Environment {
    var variables = inherited.all
    let former = variables[Variable.transport.rawValue]
    try connection.set(&variables)
    if connection.transport == nil, !connection.namesConnection {
      // Without options, the default is that of bootstrap.
      variables[Variable.transport.rawValue] = former
    }
    try report.set(&variables, clientID: connection.clientID)
    return Environment(variables)
  }

  func run() throws {
    let environment = try environment(over: .ofThisProcess)
    var options = Doctor.Options()
    options.stepTimeout = .seconds(timeout)
    // The arguments were expanded before, so this doesn't fail.
    let expanded = try? PythonCommandLine(Array(CommandLine.arguments.dropFirst(2)), for: .doctor)
    let names = AgentOptionNames(typed: expanded?.arguments ?? [], over: .ofThisProcess)
    options.optionsByVariable = connection.namesConnection ? names.texts : names.textsOfTypedOptions
    options.typedOptions = names.typedOptions
    if publish, let text = report.topic {
      let thing = environment.value(Variable.thingName.rawValue, Variable.awsThingName.rawValue)
      options.publishTopic = try publishTopic(text, thing: thing ?? "t")
    }
    var doctor = Doctor(environment, options, time: SystemWaiter(shutdown: nil))
    let console = Console()
    if !json { doctor.onFinding = printer(console) }
    doctor.examine()
    if json {
      console.output(doctor.findings.json.prettyPrinted())
    } else {
      console.output("Next: \(doctor.findings.nextStep)")
      console.output(doctor.findings.summary)
    }
    let failures = min(63, doctor.findings.count(.failed))
    if failures > 0 { throw ExitCode(Int32(failures)) }
  }

  /// Returns what prints a finding: wrapped and coloured on a terminal, one line otherwise.
  private func printer(_ console: Console) -> (Finding) -> Void {
    guard isatty(STDOUT_FILENO) == 1 else { return { console.output($0.line) } }
    let isColored = usesStyles(on: STDOUT_FILENO, .ofThisProcess)
    return { finding in
      let columns = TerminalSize(of: STDOUT_FILENO).columns
      console.output(finding.wrapped(to: columns, isColored: isColored))
    }
  }
}
