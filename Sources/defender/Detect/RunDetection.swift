import ArgumentParser
import Detection
import Glibc
import Platform

/// `defender detect run`: evaluates profiles over recorded reports.
struct RunDetection: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Evaluates security profiles over recorded reports, and prints the violations.",
    usage: "defender detect run --profile <file> [<options>] [<reports> ...]",
    discussion: """
      Reads reports as `defender collect` writes them, JSON, arrays of JSON or CBOR, from files or standard input, each \
      possibly in a wrapper {"thing":"…","timestamp":milliseconds,"report":{…}}. Without a timestamp, report_id is the time in seconds. \
      Prints one event a line, in the shape of AWS's ViolationEvent; on a terminal, a readable line.

      Examples:
      \(exampleProfile)
        defender collect -n 2 --compact >reports.jsonl
        defender detect run --profile ssh.json reports.jsonl
        defender detect run --profile ssh.json --state state.json reports.jsonl
        defender collect | defender detect run --profile ssh.json --json -

      Exit status: 0 the reports were evaluated, alarms or not; 1 an input couldn't be read completely, or has data but no \
      report; 2 it couldn't start; 3 with --fail-on-alarm there was an alarm, even if an input couldn't be read; 64 wrong command line; 74 the output couldn't be written.
      """)

  /// The exit status of an alarm with `--fail-on-alarm`.
  static let alarmStatus: Int32 = 3

  @Option(help: ArgumentHelp("A security profile; may be repeated.", valueName: "file"), completion: .file())
  var profile: [String]

  @Option(
    help: ArgumentHelp(
      "Assign all reports to this thing (default: the one that the wrapper names, or 'local').",
      valueName: "name"))
  var thing: String?

  @Option(
    help: ArgumentHelp(
      "Continue from the state in this file, and save the state to it at the end (default: none).",
      valueName: "file"),
    completion: .file())
  var state: String?

  @Flag(help: "Print JSON lines, even on a terminal.")
  var json = false

  @Flag(help: "Exit with status 3 if there was an alarm.")
  var failOnAlarm = false

  @Argument(
    help: ArgumentHelp("The reports; - is standard input (default: -).", valueName: "reports"),
    completion: .file())
  var reports: [String] = []

  func validate() throws {
    if profile.isEmpty { throw ValidationError("--profile is missing; at least one is needed.") }
    try checkInput(reports, thing: thing)
  }

  func run() throws {
    let console = Console()
    let inputs = try inputs(of: reports)
    let profiles = try profiles(at: profile, console, ofFleet: true)
    let file = try state.map { path in try StateFile(path, inputs: profile + inputs, console) }
    var detection = DetectionRun(
      Evaluator(profiles, state: try file?.load(console) ?? DetectionState()), thing: thing,
      isJSON: json || isatty(STDOUT_FILENO) == 0, console)
    for path in inputs { detection.evaluate(path) }
    detection.finish()
    if let file {
      if detection.isOutputLost {
        // A run that continues from the saved state would never print the lost events.
        console.error(
          "defender: The state isn't saved, because events were lost. Evaluate the same reports again.")
      } else {
        file.save(detection.evaluator.state)
      }
    }
    // An alarm comes first: an input that couldn't be read must not hide it.
    if failOnAlarm, detection.hasAlarm { throw ExitCode(Self.alarmStatus) }
    if detection.skipped.hasFailed { throw ExitCode(CommandFailure.Status.failed.rawValue) }
  }
}

/// The progress of `defender detect run`.
struct DetectionRun: ~Copyable {
  private(set) var evaluator: Evaluator
  private let thing: String?
  private let isJSON: Bool
  private let console: Console
  private var output: [UInt8] = []
  private(set) var skipped: SkippedReports
  /// Whether events couldn't be printed.
  private(set) var isOutputLost = false
  private(set) var hasAlarm = false
  /// The number of reports in which at least one list is only a sample.
  private var sampledReports = 0
  /// What the summary on a terminal counts.
  private var counts = (reports: 0, alarms: 0)
  private var things: Set<String> = []
  private let showsSummary = isatty(STDERR_FILENO) == 1

  init(_ evaluator: Evaluator, thing: String?, isJSON: Bool, _ console: Console) {
    self.evaluator = evaluator
    self.thing = thing
    self.isJSON = isJSON
    self.console = console
    skipped = SkippedReports(console)
  }

  /// Evaluates the reports of a file, or of standard input if `path` is `-`.
  mutating func evaluate(_ path: String) {
    do throws(Errno) {
      var file = try ReportFile(path, evaluator.table, thing: thing)
      while !isOutputLost {
        switch try file.next(&skipped) {
        case .report(let observation): evaluate(observation)
        // Print the events found so far before waiting for more input.
        case .pause: flush()
        case .end: return
        }
      }
    } catch {
      skipped.noteUnreadable(path, error)
    }
  }

  private mutating func evaluate(_ observation: Observation) {
    if observation.hasSample { sampledReports += 1 }
    counts.reports += 1
    if showsSummary { things.insert(observation.thing) }
    for event in evaluator.evaluate(observation) {
      if event.type == .inAlarm {
        hasAlarm = true
        counts.alarms += 1
      }
      output += isJSON ? event.json : Array(event.line.utf8)
      output.append(UInt8(ascii: "\n"))
    }
  }

  private mutating func flush() {
    guard !output.isEmpty else { return }
    do throws(Errno) {
      try writeAll(output, to: STDOUT_FILENO)
    } catch {
      LostOutput.note(error, to: "standard output")
      isOutputLost = true
    }
    output.removeAll(keepingCapacity: true)
  }

  /// Writes the remaining output, the numbers of skipped and ignored reports and, on a terminal, a summary.
  mutating func finish() {
    flush()
    let baselines = evaluator.baselines
    if baselines.learning > 0 {
      console.error(
        "defender: Learned baselines still learning: \(baselines.learning) of \(baselines.all). Each raises no alarm until it has "
          + "values from \(Evaluator.learningHours) different hours. Use --state to continue with a later recording."
      )
    }
    if sampledReports > 0 {
      console.error(
        "defender: Reports with incomplete lists: \(sampledReports). What isn't listed raises no alarm, and can't keep one active. "
          + "Record with a larger DEFENDER_MAX_LIST_SIZE.")
    }
    skipped.printCounts(ignored: evaluator.ignoredReports, late: evaluator.lateReports)
    if showsSummary {
      console.error(
        "defender: Reports read: \(counts.reports). Things: \(things.count). Alarms raised: \(counts.alarms)."
      )
    }
  }
}

extension ViolationEvent {
  /// The event as a readable line, for a terminal.
  var line: String {
    let time = CivilTime(secondsSinceEpoch: Int64(clamping: self.time)).extendedFormat
    let words = [time, type.rawValue, thing, "\(profile)/\(behavior.name)", behavior.metric]
    return escapingControlCharacters(
      (words + (metricValue.map { ["\($0.summary)"] } ?? [])).joined(separator: "  "))
  }
}
