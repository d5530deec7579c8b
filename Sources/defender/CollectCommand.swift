import ArgumentParser
import DefenderAgent
import DeviceDefender
import Glibc
import Platform

/// `defender collect`: prints reports about this machine, with the Python collector's command line.
struct CollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "collect",
    abstract: "Prints what would be reported about this machine, once or again and again.",
    discussion: """
      Takes the whole command line of AWS's Python collector (collector.py), in all of its spellings. Without -s and -n \
      there is one report; with -s alone they go on until SIGINT (Ctrl-C) or SIGTERM. From the second report on there \
      are network_stats: what went through since the report before. On a terminal, a line below the reports says what \
      goes on between them.

      PROCFS_PATH and DEFENDER_FORMAT, _NAMES, _MAX_LIST_SIZE, _MAX_REPORT_BYTES, _CUSTOM_METRICS and \
      _CUSTOM_METRICS_COMMAND mean what they mean to bootstrap; an option wins.

      Examples:
        defender collect
        defender collect -n 3 -s 60 --short-names
        defender collect -cm cpu_usage,memory_usage -n 2 -s 5 --compact
        defender collect --format cbor --output report.cbor
        defender collect --procfs /host/proc
        defender collect --watch

      Custom metrics, with commas between; NAME=METRIC gives one another name:
        \(SystemMetric.kinds.map { "\($0.name): \($0.summary)" }.joined(separator: "\n  "))

      Exit status: 0 all reports were made, or it was asked to end; 1 a report couldn't be made; 2 it couldn't start; \
      64 wrong command line; 74 a report couldn't be written.
      """)

  @Option(
    name: [.customShort("n"), .customLong("number-samples"), .customLong("number_samples")],
    parsing: .unconditional,
    help: ArgumentHelp(
      "How many samples to take (default: 1; with -s without end, as with 0).", valueName: "n"))
  var sampleCount: Int?

  @Option(
    name: [.customShort("s"), .customLong("sample-rate"), .customLong("sample_rate")],
    parsing: .unconditional,
    help: ArgumentHelp(
      "Seconds from one sample to the next (default: 1; with --watch 2).", valueName: "seconds"))
  var interval: Double?

  @Option(
    name: [.customShort("l"), .customLong("list-size"), .customLong("list_size")], parsing: .unconditional,
    help: ArgumentHelp(
      "Lists larger than this are sampled; totals stay (default: 50; with --watch 1000).", valueName: "n"))
  var listSize: Int?

  @Flag(
    name: [.customLong("short-names"), .customLong("short_names")], help: "Use the short names of fields.")
  var shortNames = false

  @Option(
    name: [.customLong("cm", withSingleDash: true), .customLong("custom-metrics")],
    help: ArgumentHelp(
      "Add custom metrics, as DEFENDER_CUSTOM_METRICS has them (default: none; without a list cpu_usage).",
      valueName: "list"), completion: .list(SystemMetric.names))
  var customMetrics: String?

  @Option(help: ArgumentHelp("json or cbor (default: json).", valueName: "format"))
  var format: String?

  @Flag(help: "JSON on one line, as it is sent; CBOR always is.")
  var compact = false

  @Option(
    help: ArgumentHelp("The procfs to read, found anew for each sample (default: /proc).", valueName: "path"))
  var procfs: String?

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "The file for the reports, one after the other (default: -, which is standard output).",
      valueName: "file"))
  var output: String?

  @Flag(help: "Show connections, ports and rates as a table that is drawn anew; q quits.")
  var watch = false

  func validate() throws {
    if let sampleCount, sampleCount < 0 {
      throw ValidationError("--number-samples is \(sampleCount); allowed are 0 (without end) and more.")
    }
    if let interval, !Configuration.intervalRange.contains(interval) {
      throw ValidationError("--sample-rate is \(interval); allowed is from 0.001 to 604800 seconds.")
    }
    if watch, output != nil || format != nil || compact || shortNames {
      throw ValidationError(
        "--watch shows a table; --output, --format, --compact and --short-names are for reports.")
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

  /// What the environment says about reports, with what the options say in it.
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
    "DEFENDER_FORMAT": "--format", "DEFENDER_MAX_LIST_SIZE": "--list-size",
    "DEFENDER_CUSTOM_METRICS": "--custom-metrics", "PROCFS_PATH": "--procfs",
  ]

  private func absolutePath(_ path: String) throws -> String {
    if path.hasPrefix("/") || path.isEmpty { return path.isEmpty ? "/proc" : path }
    guard let directory = unsafe getcwd(nil, 0) else { throw Errno.current }
    defer { unsafe free(directory) }
    return unsafe "\(String(cString: directory))/\(path)"
  }

  private func sampler(
    _ configuration: Configuration, log: Log, _ shutdown: ShutdownSignal
  ) -> Sampler {
    var limits = configuration.limits
    // Nothing is sent, so the report's size isn't limited unless the user asks for it.
    if configuration.givenMaximumReportBytes == nil { limits.maximumReportBytes = .max }
    return Sampler(Reporter(collector: configuration.collector(log: log, or: shutdown), limits: limits))
  }

  /// Makes and writes the reports; returns false if one of them couldn't be made.
  private func runReports(_ configuration: Configuration, _ shutdown: ShutdownSignal) throws -> Bool {
    guard var destination = try ReportDestination(path: output, shutdown: shutdown) else { return true }
    if configuration.format == .cbor, destination.isTerminal {
      throw CommandFailure(
        "CBOR isn't for terminals; give a file with --output FILE, or a pipe: defender collect --format cbor | xxd",
        status: .notRun)
    }
    let status = StatusLine(on: STDERR_FILENO)
    let log = status.log(.ofThisProcess)
    var sampler = sampler(configuration, log: log, shutdown)
    let time = SystemWaiter(shutdown: shutdown)
    let count = sampleCount ?? (interval == nil ? 1 : 0)
    let last = count == 0 && interval == nil ? 1 : count
    var schedule = ReportSchedule(interval: .seconds(interval ?? 1), first: time.bootTime)
    var isWhole = true
    for number in 1... {
      let sample = sampler.sample(at: time)
      status.clear()
      if sample.report.isEmpty {
        isWhole = false
        log.error("nothing could be read, so that there is no report")
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

  private func runWatch(_ configuration: Configuration, _ shutdown: ShutdownSignal) throws {
    let seconds = interval ?? 2
    let time = SystemWaiter(shutdown: shutdown)
    var schedule = ReportSchedule(interval: .seconds(seconds), first: time.bootTime)
    let notices = Notices()
    var view = WatchView(interval: seconds, isUnicode: usesUnicode(.ofThisProcess))
    guard var terminal = try WatchTerminal.take(shutdown: shutdown, environment: .ofThisProcess) else {
      var sampler = sampler(configuration, log: Log(.ofThisProcess), shutdown)
      guard var destination = try ReportDestination(path: nil, shutdown: shutdown) else { return }
      for number in 1... {
        let line = "\(CivilTime(time.wallTime).extendedFormat) \(sampler.sample(at: time).summary)"
        guard destination.write(Array("\(escapingControlCharacters(line))\n".utf8)) else { return }
        if number == sampleCount { return }
        schedule.advance(past: time.bootTime)
        if time.wait(until: schedule.next) != .onTime { return }
      }
      return
    }
    var sampler = sampler(configuration, log: notices.log(.ofThisProcess), shutdown)
    for number in 1... {
      view.add(sampler.sample(at: time), at: time.wallTime)
      if number == sampleCount { break }
      schedule.advance(past: time.bootTime)
      var event = WatchTerminal.Event.toBeDrawn
      while event == .toBeDrawn {
        terminal.draw(view.lines(for: terminal.size, notice: notices.last))
        event = terminal.wait(until: schedule.next)
      }
      if event == .quit { break }
    }
  }
}
