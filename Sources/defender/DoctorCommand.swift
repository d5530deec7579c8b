import AWSClient
import ArgumentParser
import DefenderAgent
import Glibc
import Platform
import WireFormats

/// `defender doctor`: checks everything that a report needs.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Checks step by step whether this machine can report, and explains how to fix problems.",
    discussion: """
      Reads the same variables as bootstrap, and in a Greengrass component also the component configuration. Checks the \
      configuration, the thing name, whether Device Defender supports the transport and the interval, the collection of \
      metrics, the credentials or the certificate, DNS, TCP, TLS, the clock, and whether AWS IoT accepts the signature, \
      the certificate or the MQTT connection. Prints one result for each check: ok, warning, failed or skipped. Shows no \
      secret, and publishes nothing without --publish.

      Over MQTT it connects with the agent's client id, because policies allow no other. This disconnects a running agent, \
      which then reconnects.

      Examples:
        defender doctor
        defender doctor --publish --topic defender/test
        env DEFENDER_TRANSPORT=mqtt defender doctor --json

      Exit status: the number of failed checks, at most 63; 64 wrong command line; 74 the output couldn't be \
      written.
      """)

  @Flag(help: "Publish a test message to the topic.")
  var publish = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The topic for --publish; its subscribers receive a line of JSON (default: none).", valueName: "topic"))
  var topic: String?

  @Flag(help: "Print one JSON object instead of lines.")
  var json = false

  @Option(help: ArgumentHelp("The time limit of each step, 0.1 to 600.", valueName: "seconds"))
  var timeout = 10.0

  func validate() throws {
    if publish != (topic != nil) {
      throw ValidationError("--publish needs --topic, and --topic needs --publish.")
    }
    guard (0.1...600).contains(timeout) else {
      throw ValidationError("--timeout is \(timeout); allowed is a number of seconds from 0.1 to 600.")
    }
    _ = try publishTopic()
  }

  private func publishTopic() throws -> Topic? {
    do throws(TopicError) {
      return try topic.map { (topic) throws(TopicError) in try Topic(validating: topic) }
    } catch {
      throw ValidationError("--topic: \(error).")
    }
  }

  func run() throws {
    var options = Doctor.Options()
    options.stepTimeout = .seconds(timeout)
    options.publishTopic = try publishTopic()
    var doctor = Doctor(.ofThisProcess, options, time: SystemWaiter(shutdown: nil))
    let console = Console()
    if !json {
      let environment = Environment.ofThisProcess
      // https://no-color.org
      let isColored = canMoveCursor(on: STDOUT_FILENO, environment) && environment.value("NO_COLOR") == nil
      doctor.onFinding = { console.output(isColored ? $0.coloredLine : $0.line) }
    }
    doctor.examine()
    console.output(json ? doctor.findings.json.prettyPrinted() : doctor.findings.summary)
    let failures = min(63, doctor.findings.count(.failed))
    if failures > 0 { throw ExitCode(Int32(failures)) }
  }
}
