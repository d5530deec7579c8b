import ArgumentParser
import Detection
import Glibc
import Platform
import WireFormats

/// `defender detect learn`: writes a security profile of what healthy devices did.
struct LearnProfile: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "learn",
    abstract:
      "Writes a security profile that describes what recorded reports of healthy devices have in common.",
    usage: "defender detect learn [<options>] [<reports> ...]",
    discussion: """
      Reads reports as `defender detect run` does. The profile allows the listening ports, the networks of the \
      destinations and the members of lists that occur in the reports, and bounds traffic, counts and numbers at the largest \
      value plus a margin. Evaluating it over the same reports raises no alarm. Review it before you use it: what an \
      intruder did while you recorded is allowed, too.

      Examples:
        defender collect -n 2 --compact >healthy.jsonl
        defender detect learn healthy.jsonl >profile.json
        defender detect learn --margin 20 --profile-name pumps healthy.jsonl

      Exit status: 0 the profile was written; 1 an input couldn't be read completely, or there was no report; 64 wrong \
      command line; 74 the output couldn't be written.
      """)

  @Option(help: ArgumentHelp("The profile's name.", valueName: "name"))
  var profileName = "learned"

  @Option(
    help: ArgumentHelp("The margin that is added to the largest values, in percent.", valueName: "percent"))
  var margin: UInt64 = 50

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
    try checkName(profileName, of: "--profile-name")
    if margin > 1_000 { throw ValidationError("--margin is \(margin); expected 0 to 1000.") }
    try checkInput(reports, thing: thing)
  }

  func run() throws {
    let console = Console()
    let inputs = try inputs(of: reports)
    var learner = Learner()
    var skipped = SkippedReports(console)
    for path in inputs {
      readReports(of: path, learner.table, thing: thing, &skipped) { learner.observe($0) }
    }
    skipped.printCounts(ignored: learner.ignoredReports)
    guard let learned = LearnedProfile(learner, name: profileName, margin: margin) else {
      console.error("defender: No report could be read, so there is nothing to learn from.")
      throw ExitCode(CommandFailure.Status.failed.rawValue)
    }
    for note in learned.notes { console.error("defender: \(note)") }
    var document = JSONWriter()
    learned.write(to: &document)
    console.output(try JSONValue(parsing: document.bytes).prettyPrinted())
    if skipped.hasFailed { throw ExitCode(CommandFailure.Status.failed.rawValue) }
  }
}
