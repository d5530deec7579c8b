import ArgumentParser
import DeviceDefender
import WireFormats

/// `defender security-profile`: prints the commands that prepare an account for the reports.
struct SecurityProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "security-profile",
    abstract: "Prints AWS CLI commands that create a security profile for this agent's metrics.",
    usage: "defender security-profile [<options>]",
    discussion: """
      Device Defender keeps only the metrics in a security profile. The commands create the chosen custom metrics, \
      then a profile that keeps every metric of this agent and, with --detect ml, monitors the numbers with ML Detect. \
      This program creates nothing itself: review the commands, then pipe them to a shell.

      Examples:
        defender security-profile --name fleet
        defender security-profile --custom-metrics cpu_usage,uptime --detect retain
        defender security-profile | sh

      To use the profile, attach it: aws iot attach-security-profile --security-profile-name fleet \
      --security-profile-target-arn arn:aws:iot:REGION:ACCOUNT:all/registered-things

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

  @Option(help: "ml: ML Detect raises alarms about the numbers; retain: only keep the metrics.")
  var detect = Detection.ml

  func validate() throws {
    guard isName(name) else {
      throw ValidationError("--name is '\(name)'; expected 1 to 128 letters, digits, ':', '_' and '-'.")
    }
    _ = try metrics()
  }

  private func metrics() throws -> [SystemMetric] {
    do throws(CustomMetricError) {
      return try SystemMetric.list(parsing: customMetrics)
    } catch {
      throw ValidationError("--custom-metrics: \(error).")
    }
  }

  func run() throws {
    let console = Console()
    let names = try metrics().map(\.name.text)
    for name in names { console.output(command("create-custom-metric", customMetric(name))) }
    console.output(command("create-security-profile", profile(customMetrics: names)))
  }

  /// Returns a command of the AWS CLI. No text in it contains a quote: names are validated, and the rest is
  /// fixed.
  private func command(_ operation: String, _ input: JSONValue) -> String {
    var document = JSONWriter()
    input.write(to: &document)
    return "aws iot \(operation) --cli-input-json '\(String(decoding: document.bytes, as: UTF8.self))'"
  }

  private func customMetric(_ name: String) -> JSONValue {
    object([("metricName", .string(name)), ("metricType", .string("number"))])
  }

  private func profile(customMetrics: [String]) -> JSONValue {
    let numbers = Self.numbers + customMetrics
    let watched = detect == .ml ? numbers : []
    let retained = Self.lists + (detect == .ml ? [] : numbers)
    var members: [(String, JSONValue)] = [
      ("securityProfileName", .string(name)),
      ("securityProfileDescription", .string("Metrics of the Device Defender agent in Swift")),
    ]
    if !watched.isEmpty { members.append(("behaviors", .array(watched.map(behavior)))) }
    members.append(
      ("additionalMetricsToRetainV2", .array(retained.map { object([("metric", .string($0))]) })))
    return object(members)
  }

  private func behavior(_ metric: String) -> JSONValue {
    let suffix = metric.split(separator: ":").last.map(String.init) ?? metric
    let detection = object([("confidenceLevel", .string("HIGH"))])
    let criteria = object([
      ("consecutiveDatapointsToAlarm", .number("1")), ("consecutiveDatapointsToClear", .number("1")),
      ("mlDetectionConfig", detection),
    ])
    return object([
      ("name", .string("\(suffix.prefix(125))_ml")), ("metric", .string(metric)), ("criteria", criteria),
    ])
  }

  private func object(_ members: [(String, JSONValue)]) -> JSONValue {
    .object(members.map { JSONValue.Member(name: $0.0, value: $0.1) })
  }

  // "Device-side metrics", AWS IoT Device Defender developer guide.
  private static let numbers = [
    "aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out",
    "aws:num-established-tcp-connections", "aws:num-listening-tcp-ports", "aws:num-listening-udp-ports",
  ]
  private static let lists = [
    "aws:listening-tcp-ports", "aws:listening-udp-ports", "aws:destination-ip-addresses",
  ]
}

/// Returns whether `text` is a valid name for a profile, which needs no quotes in a shell.
private func isName(_ text: String) -> Bool {
  (1...128).contains(text.utf8.count)
    && text.utf8.allSatisfy { isLetterOrDigit($0) || ":_-".utf8.contains($0) }
}
