import ArgumentParser
import DefenderAgent
import Detection
import DeviceDefender
import Glibc
import Platform

/// `defender collect`: prints reports about this machine, with the Python collector's command line.
struct CollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "collect",
    abstract: "Prints the reports about this machine, once or repeatedly.",
    usage: "defender collect [<options>]",
    discussion: """
      Accepts the whole command line of AWS's Python collector (collector.py), in all spellings. Without -s and -n \
      it makes one report; with only -s it continues until SIGINT (Ctrl-C) or SIGTERM. From the second report on, \
      network_stats has the traffic since the previous report. On a terminal, a status line below the reports shows \
      the current values.

      PROCFS_PATH and DEFENDER_FORMAT, _NAMES, _MAX_LIST_SIZE, _MAX_REPORT_BYTES, _CUSTOM_METRICS and \
      _CUSTOM_METRICS_COMMAND have the same meaning as for bootstrap. An option overrides its variable.

      Examples:
        defender collect
        defender collect -n 3 -s 60 --short-names
        defender collect -cm cpu_usage,memory_usage -n 2 -s 5 --compact
        defender collect --format cbor --output report.cbor
        defender collect --procfs /host/proc
        defender collect --watch
      \(exampleProfile)
        defender collect --watch --profile ssh.json

      Custom metrics, separated by commas; NAME=METRIC renames one:
        \(SystemMetric.kinds.map { "\($0.name): \($0.summary)" }.joined(separator: "\n  "))

      Exit status: 0 all reports were made, or a signal stopped it; 1 a report couldn't be made; 2 it couldn't start; \
      64 wrong command line; 74 a report couldn't be written.
      """)

  @Option(
    name: [.customShort("n"), .customLong("number-samples"), .customLong("number_samples")],
    parsing: .unconditional,
    help: ArgumentHelp(
      "The number of samples, 0 for no limit (default: 1; with -s 0).", valueName: "n"))
  var sampleCount: Int?

  @Option(
    name: [.customShort("s"), .customLong("sample-rate"), .customLong("sample_rate")],
    parsing: .unconditional,
    help: ArgumentHelp(
      "Seconds between samples (default: 1; with --watch 2).", valueName: "seconds"))
  var interval: Double?

  @Option(
    name: [.customShort("l"), .customLong("list-size"), .customLong("list_size")], parsing: .unconditional,
    help: ArgumentHelp(
      "The largest list; longer ones are sampled, with exact totals (default: 50; with --watch 1000).",
      valueName: "n"))
  var listSize: Int?

  @Flag(
    name: [.customLong("short-names"), .customLong("short_names")], help: "Use short field names.")
  var shortNames = false

  @Option(
    name: [.customLong("cm", withSingleDash: true), .customLong("custom-metrics")],
    help: ArgumentHelp(
      "Custom metrics, as in DEFENDER_CUSTOM_METRICS (default: none; cpu_usage if there is no list).",
      valueName: "list"), completion: .list(SystemMetric.names))
  var customMetrics: String?

  @Option(
    help: ArgumentHelp("json or cbor (default: json).", valueName: "format"),
    completion: .list(["json", "cbor"]))
  var format: String?

  @Flag(help: "Print JSON on one line, as it is published; CBOR always is.")
  var compact = false

  @Option(
    help: ArgumentHelp(
      "The procfs to read; links in it are resolved for each sample (default: /proc).", valueName: "path"))
  var procfs: String?

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "The file for the reports (default: -, which is standard output).",
      valueName: "file"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Evaluate a security profile, and log its violations; may be repeated (default: none).",
      valueName: "file"),
    completion: .file())
  var profile: [String] = []

  @Flag(help: "Show rates, connections, ports and violations in a table that is updated; q quits.")
  var watch = false

  func validate() throws {
    if let sampleCount, sampleCount < 0 {
      throw ValidationError("--number-samples is \(sampleCount); expected 0 (no limit) or more.")
    }
    if let interval, !Configuration.intervalRange.contains(interval) {
      throw ValidationError("--sample-rate is \(interval); expected 0.001 to 604800 seconds.")
    }
    if watch, output != nil || format != nil || compact || shortNames {
      throw ValidationError(
        "--watch shows a table and can't be combined with --output, --format, --compact and --short-names.")
    }
  }

  func run() throws {
    do {
      let configuration = try configuration(over: .ofThisProcess)
      let shutdown = try ShutdownSignal()
      if watch {
        try runWatch(configuration, shutdown)
      } else if try !runReports(configuration, shutdown) {
        throw ExitCode(CommandFailure.Status.failed.rawValue)
      }
    } catch let error as ConfigurationError {
      let mistakes = error.sentences(namingOptions: Self.optionsByVariable)
      throw CommandFailure(mistakes.joined(separator: "\n  "), status: .notRun)
    } catch let error as Errno where error == .interrupted {
      // A signal ended the process while it waited for the terminal.
    } catch let error as Errno {
      throw CommandFailure("\(error)", status: .notRun)
    }
  }

  /// Returns the configuration of reports: the environment with the options applied to it.
  private func configuration(over inherited: Environment) throws -> Configuration {
    var mistakes: [ConfigurationError.Mistake] = []
    let configuration = Configuration(
      ofReports: Environment(try variables(over: inherited.all)), noting: &mistakes)
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
    return configuration
  }

  private func variables(over inherited: [String: String]) throws -> [String: String] {
    var variables = inherited
    if shortNames { variables["DEFENDER_NAMES"] = "short" }
    let others = [
      "DEFENDER_FORMAT": format, "DEFENDER_MAX_LIST_SIZE": listSize.map { String($0) },
      "DEFENDER_CUSTOM_METRICS": customMetrics, "PROCFS_PATH": try procfs.map(absolutePath),
    ]
    for case (let name, let value?) in others { variables[name] = value }
    if watch, variables["DEFENDER_MAX_LIST_SIZE"] == nil { variables["DEFENDER_MAX_LIST_SIZE"] = "1000" }
    return variables
  }

  private static let optionsByVariable = [
    "DEFENDER_FORMAT": "--format (or DEFENDER_FORMAT)",
    "DEFENDER_MAX_LIST_SIZE": "--list-size (or DEFENDER_MAX_LIST_SIZE)",
    "DEFENDER_CUSTOM_METRICS": "--custom-metrics (or DEFENDER_CUSTOM_METRICS)",
    "PROCFS_PATH": "--procfs (or PROCFS_PATH)",
  ]

  private func absolutePath(_ path: String) throws -> String {
    if path.hasPrefix("/") || path.isEmpty { return path.isEmpty ? "/proc" : path }
    guard let directory = unsafe getcwd(nil, 0) else { throw Errno.current }
    defer { unsafe free(directory) }
    return unsafe "\(String(cString: directory))/\(path)"
  }

  func sampler(
    _ configuration: Configuration, _ detector: SampleDetector?, log: Log, _ shutdown: ShutdownSignal
  ) -> Sampler {
    var limits = configuration.limits
    // Nothing is sent, so the report's size isn't limited unless the user asks for it.
    if configuration.givenMaximumReportBytes == nil { limits.maximumReportBytes = .max }
    return Sampler(
      Reporter(collector: configuration.collector(log: log, or: shutdown), limits: limits),
      detector: detector)
  }

  /// Reads the security profiles; nil if there are none.
  func readDetector() throws -> SampleDetector? {
    if profile.isEmpty { return nil }
    let thing = Environment.ofThisProcess.value("AWS_IOT_THING_NAME") ?? "local"
    return SampleDetector(try profiles(at: profile, Console()), thing: thing)
  }

  func show(_ events: [ViolationEvent], _ log: Log) {
    for event in events { log.warn(event.sentence) }
  }

  /// Makes and writes the reports; returns false if one of them couldn't be made.
  private func runReports(_ configuration: Configuration, _ shutdown: ShutdownSignal) throws -> Bool {
    guard var destination = try ReportDestination(path: output, shutdown: shutdown) else { return true }
    if configuration.format == .cbor, destination.isTerminal {
      throw CommandFailure(
        "CBOR can't be shown on a terminal. Write it to a file with --output FILE, or to a pipe: "
          + "defender collect --format cbor | xxd",
        status: .notRun)
    }
    let status = StatusLine(on: STDERR_FILENO)
    let log = status.log(.ofThisProcess)
    var sampler = sampler(configuration, try readDetector(), log: log, shutdown)
    let time = SystemWaiter(shutdown: shutdown)
    let count = sampleCount ?? (interval == nil ? 1 : 0)
    let last = count == 0 && interval == nil ? 1 : count
    var schedule = ReportSchedule(interval: .seconds(interval ?? 1), first: time.bootTime)
    var isWhole = true
    for number in 1... {
      let sample = sampler.sample(at: time)
      status.clear()
      show(sample.events, log)
      if sample.report.isEmpty {
        isWhole = false
        log.error("No metrics could be read; no report was made.")
      } else {
        let bytes = sample.report.encoded(as: configuration.format, names: configuration.names)
        guard destination.write(bytes, configuration.format, isCompact: compact) else { break }
      }
      if number == last { break }
      schedule.advance(past: time.bootTime)
      let progress = last == 0 ? "sample \(number)" : "sample \(number) of \(last)"
      guard status.wait(until: schedule.next, time, { "\(progress), next in \($0) s: \(sample.summary)" })
      else { break }
    }
    status.clear()
    return isWhole
  }
}
