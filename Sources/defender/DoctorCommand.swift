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
    abstract: "Checks, step by step, what keeps this machine from reporting, and says what to do.",
    discussion: """
      Reads the same variables as bootstrap, in a Greengrass component also its configuration, and checks: the \
      configuration, the thing's name, the transport and the interval against what Device Defender takes, the \
      collection of metrics, credentials or the certificate, DNS, TCP, TLS, the clock, and whether AWS IoT accepts the \
      signature, the certificate or the MQTT connection. Each is a line: ok, warning, failed or skipped. No secret is \
      shown, and nothing is published without --publish.

      Over MQTT it connects with the agent's own client id, since that is what policies allow: an agent that is \
      running is disconnected by that, and connects again.

      Examples:
        defender doctor
        defender doctor --publish --topic defender/test
        env DEFENDER_TRANSPORT=mqtt defender doctor --json

      Exit status: 0 nothing failed; else how many checks failed, 63 at most; 64 wrong command line; 74 its \
      output couldn't be written.
      """)

  @Flag(help: "Publish a message to the topic, to see whether that is allowed.")
  var publish = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The topic for --publish; whoever listens gets a line of JSON (default: none).", valueName: "topic"))
  var topic: String?

  @Flag(help: "Write one JSON object instead of lines.")
  var json = false

  @Option(help: ArgumentHelp("How long each step may take, 0.1 to 600.", valueName: "seconds"))
  var timeout = 10.0

  func validate() throws {
    if publish != (topic != nil) {
      throw ValidationError("--publish and --topic go together.")
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
