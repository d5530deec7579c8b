import ArgumentParser
import Detection
import DeviceDefender
import WireFormats

/// `defender security-profile`: prints the commands that prepare an account for the reports.
struct SecurityProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "security-profile",
    abstract: "Prints AWS CLI commands that create or update a security profile for this agent's metrics.",
    usage: "defender security-profile [<options>]",
    discussion: """
      Device Defender stores only metrics that a security profile names. The printed shell script creates the custom metrics, \
      creates the profile or updates it, and attaches it to --target. The profile names every metric of this agent and, with \
      --detect ml, monitors the numbers with ML Detect. The script can be run again, for example after a change of the options.

      This program changes nothing itself: review the script, then run it. The AWS CLI takes the account and the region from its \
      configuration. An update keeps the profile's alert targets.

      Examples:
        defender security-profile --name fleet
        defender security-profile --custom-metrics cpu_usage,uptime --detect retain
        defender security-profile --target thinggroup/pumps >profile.sh
        sh profile.sh
        defender security-profile --json >fleet.json
        defender detect validate fleet.json

      Exit status: 0 success; 64 wrong command line; 74 the output couldn't be written.
      """)

  enum Detection: String, CaseIterable, ExpressibleByArgument {
    case ml, retain
  }

  @Option(help: ArgumentHelp("The profile's name.", valueName: "name"))
  var name = "device-defender-agent"

  @Option(
    name: [.customLong("custom-metrics"), .customLong("cm", withSingleDash: true)],
    help: ArgumentHelp(
      "Custom metrics, as in DEFENDER_CUSTOM_METRICS (default: none): "
        + "\(SystemMetric.names.joined(separator: ", ")).",
      valueName: "list"),
    completion: .list(SystemMetric.names))
  var customMetrics = ""

  @Option(
    help: "ml: ML Detect monitors the numeric metrics and raises alarms; retain: only store the metrics.")
  var detect = Detection.ml

  @Option(
    help: ArgumentHelp(
      "The things that the profile applies to: all/registered-things, all/unregistered-things, all/things or "
        + "thinggroup/NAME.", valueName: "target"),
    completion: .list(SecurityProfileScript.targets + ["thinggroup/"]))
  var target = "all/registered-things"

  @Flag(help: "Print only the profile, as JSON for `aws iot` and for `defender detect`.")
  var json = false

  func validate() throws {
    guard SecurityProfile.isName(name) else {
      throw ValidationError("--name is '\(name)'; expected 1 to 128 letters, digits, ':', '_' and '-'.")
    }
    let group = target.hasPrefix("thinggroup/") ? String(target.dropFirst("thinggroup/".count)) : ""
    guard SecurityProfileScript.targets.contains(target) || SecurityProfile.isName(group) else {
      throw ValidationError(
        "--target is '\(target)'; expected \(SecurityProfileScript.targets.joined(separator: ", ")) or thinggroup/NAME."
      )
    }
    let validation = try script().validation
    guard validation.profile != nil else {
      let reasons = validation.mistakes.map(\.message).joined(separator: " ")
      throw ValidationError("Device Defender rejects a profile with these metrics: \(reasons)")
    }
  }

  func run() throws {
    let script = try script()
    Console().output(json ? script.profileText : script.text)
  }

  private func script() throws -> SecurityProfileScript {
    do throws(CustomMetricError) {
      let metrics = try SystemMetric.list(parsing: customMetrics).map(\.name.text)
      return SecurityProfileScript(
        name: name, customMetrics: metrics, monitors: detect == .ml, target: target)
    } catch {
      throw ValidationError("--custom-metrics: \(error).")
    }
  }
}
