import AgentTestSupport
import DefenderAgent
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// Returns the variables that keep the state in `tree`, after giving `tree` a boot id.
func variables(ofStateIn tree: TemporaryDirectory) throws -> [String: String] {
  try tree.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
  return ["DEFENDER_STATE_DIRECTORY": "\(tree.path)/state"]
}

/// Returns the state that is saved in `tree`; null if none is.
func savedState(in tree: TemporaryDirectory) -> JSONValue {
  let bytes = try? readFile("\(tree.path)/state/state.json", limit: 65_536)
  return bytes.flatMap { try? JSONValue(parsing: $0) } ?? .null
}

/// A report loop over a separate procfs tree, with a clock, a publisher and a log that the test controls.
struct LoopStage: ~Copyable {
  let time = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_700_000_000))
  let publisher: ScriptedPublisher
  let procfs: TemporaryDirectory
  let lines = Lines()
  var loop: ReportLoop

  final class Lines {
    var text = ""
  }

  init(
    _ variables: [String: String] = [:], over tree: TemporaryDirectory? = nil,
    beginsWithBaseline: Bool = false, connectsAtStart: Bool = false
  ) throws {
    let procfs = try tree ?? TemporaryDirectory()
    var configuration = try Self.configuration(variables, over: procfs)
    configuration.beginsWithBaseline = beginsWithBaseline
    configuration.connectsAtStart = connectsAtStart
    let lines = lines
    let log = Log { _, line in lines.text += String(decoding: line, as: UTF8.self) }
    self.procfs = procfs
    publisher = ScriptedPublisher(time: time)
    loop = ReportLoop(configuration, publisher: publisher, time: time, log: log)
  }

  /// Fills `procfs`, and returns a configuration that reads it.
  static func configuration(_ variables: [String: String], over procfs: TemporaryDirectory) throws
    -> Configuration
  {
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    try setBytesIn(1_000, in: procfs)
    var environment = [
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "PROCFS_PATH": procfs.path,
      "DEFENDER_TOPIC": "defender/{thing}/{format}",
    ]
    environment.merge(variables) { _, given in given }
    return try Configuration(Environment(environment))
  }

  /// Runs the loop for at most `seconds`, and expects that the run doesn't count as failed.
  @discardableResult
  mutating func run(
    _ plan: ReportPlan = ReportPlan(reports: 1), seconds: Int64 = 900,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> ReportOutcome {
    let outcome = try attempt(plan, seconds: seconds)
    #expect(outcome.failure == nil, sourceLocation: sourceLocation)
    return outcome
  }

  /// Runs the loop for at most `seconds`, and expects that the run counts as failed.
  mutating func fail(
    _ plan: ReportPlan = ReportPlan(reports: 1), seconds: Int64 = 900,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try attempt(plan, seconds: seconds)
    #expect(outcome.failure != nil, sourceLocation: sourceLocation)
  }

  /// Runs the loop for at most `seconds`, without checking the outcome.
  @discardableResult
  mutating func attempt(
    _ plan: ReportPlan = ReportPlan(reports: 1), seconds: Int64 = 900
  ) throws -> ReportOutcome {
    try loop.run(plan, until: time.bootTime.advanced(by: .seconds(seconds)))
  }
}

/// Returns a plan with further settings than the number of reports.
func plan(reports: Int, interval: Duration? = nil, isDryRun: Bool = false) -> ReportPlan {
  var plan = ReportPlan(reports: reports)
  plan.interval = interval
  plan.isDryRun = isDryRun
  return plan
}

extension ReportOutcome {
  /// The report of a dry run.
  var dryRunDocument: JSONValue {
    get throws { try JSONValue(parsing: #require(dryRunReport).bytes) }
  }
}

/// Makes one report in a separate process, which then ends.
func reportOnce(_ variables: [String: String], over tree: TemporaryDirectory) throws {
  var stage = try LoopStage(variables, over: tree)
  try stage.run()
}

func setBytesIn(_ bytes: Int, in procfs: TemporaryDirectory) throws {
  let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
  try procfs.write(
    "net/dev", "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: \(bytes) 1 \(zeros)\n")
}

extension String {
  /// Returns how often `part` occurs.
  func components(of part: String) -> Int {
    split(separator: part, omittingEmptySubsequences: false).count - 1
  }
}
