import AWSClient
import DefenderAgent
import Glibc
import GreengrassIPC
import HTTPClient
import Platform

/// Checks each requirement of a report, step by step, with the configuration that `bootstrap` would use.
///
/// Publishes nothing unless `--publish` is given, and shows no secret. If a check fails, the checks that don't depend on
/// it still run.
struct Doctor {
  struct Options {
    /// The topic of the test message; nil publishes nothing.
    var publishTopic: Topic?
    /// The option that sets each variable; empty if the user gave none.
    var optionsByVariable: [String: String] = [:]
    /// The option that the user typed for each variable.
    var typedOptions: [String: String] = [:]
    /// The time limit of each step.
    var stepTimeout = Duration.seconds(10)
  }

  let options: Options
  let time: any Waiter
  /// The environment as `bootstrap` sees it. In a Greengrass component, the component configuration overrides
  /// it.
  var environment: Environment
  var configuration: Configuration
  /// The connection to the nucleus, which has the component configuration; nil outside of a Greengrass
  /// component.
  let nucleus: IPCClient?
  /// The warnings that were logged during a check; they become part of its finding.
  let notes: Notes
  private(set) var findings: [Finding] = []
  /// The variables whose values are rejected, or that are missing.
  var mistakenVariables: Set<String> = []
  /// Whether the certificate can't be used, so that a rejected handshake has no other cause.
  var isCertificateUnusable = false
  /// Whether a proxy failed that was needed to get credentials, so that no connection is tried.
  var hasProxyFailed = false
  /// Called with each finding as soon as its check is done, because the next check may take long.
  var onFinding: (Finding) -> Void = { _ in }

  init(_ environment: Environment, _ options: Options, time: any Waiter) {
    self.options = options
    self.time = time
    let notes = Notes()
    self.notes = notes
    self.environment = environment
    // The same test by which bootstrap distinguishes a component from a function.
    let isFunction = environment.value("AWS_LAMBDA_RUNTIME_API") != nil
    nucleus = isFunction ? nil : IPCClient(environment, log: notes.log, time: time)
    var mistakes: [ConfigurationError.Mistake] = []
    configuration = Configuration(environment, noting: &mistakes)
  }

  /// Runs all checks, in this order.
  mutating func examine() {
    readComponentConfiguration()
    checkConfiguration()
    checkThingName()
    checkTransport()
    checkInterval()
    checkSpool()
    checkCollection()
    let isKnown = checkWhoWeAre()
    let isConnected = checkConnection()
    if !isKnown {
      skipService(because: "no usable \(findings.last { $0.isAboutIdentity }?.check ?? "identity")")
    } else if !isConnected {
      skipService(because: "no connection")
    } else if lacksRegion {
      skipService(because: "no region to sign for; see configuration")
    } else {
      checkService()
    }
  }

  /// Returns whether the configuration was rejected because of one of these variables. The findings already have the mistake.
  func isMistaken(_ variables: Variable...) -> Bool {
    variables.contains { mistakenVariables.contains($0.rawValue) }
  }

  /// What set a variable: the option that the user typed, otherwise the variable.
  func origin(of variable: Variable) -> String {
    options.typedOptions[variable.rawValue] ?? variable.rawValue
  }

  mutating func note(_ finding: Finding) {
    findings.append(finding)
    onFinding(finding)
  }

  mutating func note(
    _ check: String, _ status: Finding.Status, _ message: String, advice: String? = nil
  ) {
    note(Finding(check, status, message, advice: advice))
  }

  /// The deadline of a step that starts now.
  var deadline: BootTime { time.bootTime.advanced(by: options.stepTimeout) }
}

/// Collects the warnings logged during a check.
final class Notes {
  private var texts: [String] = []

  /// A log that keeps warnings and errors, and drops everything else.
  var log: Log {
    Log(level: .warn) { [self] _, line in
      // The line has `[WARN]`, the time and the text, separated by tabs.
      let text = line.split(separator: UInt8(ascii: "\t"), maxSplits: 2).last ?? []
      texts.append(String(decoding: text.dropLast(), as: UTF8.self))
    }
  }

  /// Removes and returns the warnings since the last call; nil if there are none.
  func take() -> String? {
    defer { texts = [] }
    return texts.isEmpty ? nil : texts.joined(separator: "; ")
  }
}

/// Returns a date without fractions of a second: `2026-11-26T10:00:00Z`.
func date(_ time: WallTime) -> String { "\(CivilTime(time).extendedFormat.prefix(19))Z" }

/// Returns the date and its distance from `now`: `2026-11-26T10:00:00Z (in 3 h 20 min)`.
func moment(_ moment: WallTime, from now: WallTime) -> String {
  let left = now.duration(to: moment)
  return
    "\(date(moment)) (\(left < .zero ? "\(span(.zero - left)) ago" : "in \(span(left))"))"
}

/// Returns `12.3 ms`.
func milliseconds(_ duration: Duration) -> String {
  "\((duration.inSeconds * 10_000).rounded() / 10) ms"
}
