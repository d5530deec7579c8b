import AWSClient
import DefenderAgent
import Glibc
import GreengrassIPC
import HTTPClient
import Platform

/// Looks at everything that a report needs, step by step, by the configuration that `bootstrap` would run with.
///
/// Publishes nothing unless asked to, and shows no secret. What fails is followed by the checks that don't need it.
struct Doctor {
  struct Options {
    /// Where to publish to, to see whether that is allowed; nil publishes nothing.
    var publishTopic: Topic?
    /// How long a step may take.
    var stepTimeout = Duration.seconds(10)
  }

  let options: Options
  let time: any TimeKeeper
  /// As `bootstrap` has it, with the component configuration over it in a Greengrass component.
  var environment: Environment
  var configuration: Configuration
  /// Whose the configuration is: nil outside of a Greengrass component.
  let nucleus: IPCClient?
  /// What was said while a check ran: a part of what that found.
  let notes: Notes
  private(set) var findings: [Finding] = []
  /// Is told each finding when its check is done: the next one may take its time.
  var onFinding: (Finding) -> Void = { _ in }

  init(_ environment: Environment, _ options: Options, time: any TimeKeeper) {
    self.options = options
    self.time = time
    let notes = Notes()
    self.notes = notes
    self.environment = environment
    // As bootstrap tells a component from a function.
    let isFunction = environment.value("AWS_LAMBDA_RUNTIME_API") != nil
    nucleus = isFunction ? nil : IPCClient(environment, log: notes.log, shutdown: nil)
    var mistakes: [ConfigurationError.Mistake] = []
    configuration = Configuration(environment, noting: &mistakes)
  }

  /// Makes all checks, in this order.
  mutating func examine() {
    readComponentConfiguration()
    checkConfiguration()
    checkThingName()
    checkTransport()
    checkInterval()
    checkCollection()
    let isKnown = checkWhoWeAre()
    let isConnected = checkConnection()
    if !isKnown {
      skipService(because: "there are no credentials")
    } else if !isConnected {
      skipService(because: "there is no connection")
    } else if lacksRegion {
      skipService(because: "there is no region to sign for; see the configuration")
    } else {
      checkService()
    }
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

  /// The moment at which a step has to be done.
  var deadline: BootTime { time.bootTime.advanced(by: options.stepTimeout) }
}

/// The warnings of the parts that were looked at.
final class Notes {
  private var texts: [String] = []

  /// A log that keeps warnings, and drops what is less.
  var log: Log {
    Log(level: .warn) { [self] _, line in
      // `[WARN]`, the time, and the text, with tabs between.
      let text = line.split(separator: UInt8(ascii: "\t"), maxSplits: 2).last ?? []
      texts.append(String(decoding: text.dropLast(), as: UTF8.self))
    }
  }

  /// The warnings since the last time; nil where there were none.
  func take() -> String? {
    defer { texts = [] }
    return texts.isEmpty ? nil : texts.joined(separator: "; ")
  }
}

/// `2026-11-26T10:00:00.000Z`, and how far off that is: `in 3 h 20 min`.
func moment(_ moment: WallTime, from now: WallTime) -> String {
  let left = now.duration(to: moment)
  return
    "\(CivilTime(moment).extendedFormat) (\(left < .zero ? "\(span(.zero - left)) ago" : "in \(span(left))"))"
}

/// `12 days`, `3 h 20 min`, `45 s`.
func span(_ duration: Duration) -> String {
  let seconds = duration.components.seconds
  switch seconds {
  case 172_800...: return "\(seconds / 86_400) days"
  case 3_600...: return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
  case 60...: return "\(seconds / 60) min"
  default: return "\(seconds) s"
  }
}

/// `12.3 ms`
func milliseconds(_ duration: Duration) -> String {
  "\((duration.inSeconds * 10_000).rounded() / 10) ms"
}
