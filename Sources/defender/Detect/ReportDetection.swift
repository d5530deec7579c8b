import ArgumentParser
import Detection
import DetectionReport
import Glibc
import Platform

/// `defender detect report`: writes a page about recorded reports and their alarms.
struct ReportDetection: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract:
      "Writes an HTML page that shows the alarms, counters, ports and destinations of recorded reports.",
    usage:
      "defender detect report --profile <file> --html <file> [<options>]\n       [<reports> ...]",
    discussion: """
      Reads profiles and reports as `defender detect run` does. The page shows the worst things first: alarms over time, \
      counters with their thresholds, and the ports and destinations that came and went. It is one file of at most \
      1 MB, without scripts, that loads nothing. Because it lists open ports and addresses, only you can read a new file; \
      an existing file keeps its permissions.

      Examples:
      \(exampleProfile)
        defender collect -n 2 --compact >reports.jsonl
        defender detect report --profile ssh.json reports.jsonl --html page.html
        defender collect | defender detect report --profile ssh.json --html -

      Exit status: 0 the page was written; 1 an input couldn't be read completely, or has data but no report, and the page says \
      so; 2 it couldn't start; 64 wrong command line; 74 the page couldn't be written.
      """)

  @Option(help: ArgumentHelp("A security profile; may be repeated.", valueName: "file"), completion: .file())
  var profile: [String]

  @Option(
    help: ArgumentHelp("The page to write; - is standard output.", valueName: "file"),
    completion: .file(extensions: ["html"]))
  var html: String

  @Option(
    help: ArgumentHelp(
      "Assign all reports to this thing (default: the one that the wrapper names, or 'local').",
      valueName: "name"))
  var thing: String?

  @Argument(
    help: ArgumentHelp("The reports; - is standard input (default: -).", valueName: "reports"),
    completion: .file())
  var reports: [String] = []

  func validate() throws {
    if profile.isEmpty { throw ValidationError("--profile is missing; at least one is needed.") }
    if html.isEmpty { throw ValidationError("--html is empty; expected the page's file, or -.") }
    try checkInput(reports, thing: thing)
  }

  func run() throws {
    let console = Console()
    let inputs = try inputs(of: reports)
    var history = FleetHistory(
      try profiles(at: profile, console, ofFleet: true),
      now: UInt64(clamping: WallTime.now.secondsSinceEpoch))
    let destination = try PageFile(html, inputs: profile + inputs, console)
    var skipped = SkippedReports(console)
    for path in inputs {
      readReports(of: path, history.table, thing: thing, &skipped) { history.add($0) }
    }
    history.finish(skipped: skipped.count, reasons: skipped.reasons, isComplete: !skipped.hasFailed)
    skipped.printCounts(ignored: history.ignoredReports, late: history.lateReports)
    destination.write(DetectionPage.html(history))
    if skipped.hasFailed { throw ExitCode(CommandFailure.Status.failed.rawValue) }
  }
}

/// The destination of the page: a file that is replaced as a whole, a pipe or device, or standard output.
private struct PageFile {
  private let path: String
  private let file: ReplacedFile?

  /// Checks the file before any report is read, so that a wrong path fails at once.
  ///
  /// `inputs` are the profiles and reports, which the page must not replace.
  init(_ path: String, inputs: [String], _ console: Console) throws {
    self.path = path
    guard path != "-" else {
      file = nil
      return
    }
    // The page lists open ports and addresses.
    umask(0o077)
    do throws(OutputFileError) {
      file = try ReplacedFile(checking: path)
    } catch {
      throw notStarted("Can't write the page to '\(path)': \(error).", console)
    }
    if let input = file?.first(of: inputs) {
      throw notStarted(
        "Can't write the page to '\(path)': it would replace \(inputName(input)). Name another file.", console
      )
    }
  }

  /// Writes the page. A failure changes the exit status.
  func write(_ page: [UInt8]) {
    do throws(Errno) {
      if path == "-" { return try writeAll(page, to: STDOUT_FILENO) }
      if let file { return try file.replace(with: page) }
      let device = FileDescriptor(
        owning: try retryingOnInterrupt { unsafe Glibc.open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY) })
      try writeAll(page, to: device.rawValue)
    } catch {
      LostOutput.note(error, to: path == "-" ? "standard output" : "'\(path)'")
    }
  }
}
