@testable import DefenderAgent
@testable import DefenderFunction
@testable import DeviceDefender
@testable import LambdaRuntime
@testable import Platform
@testable import WireFormats

/// The event of an invocation.
let events = FuzzTarget("events") { input in
  do {
    let event = try ReportPlan(event: input)
    try require((1...1_000_000).contains(event.reports ?? 1), "a number of reports out of range")
    try require(event.interval.map { $0 > .zero && $0 <= .seconds(604_800) } ?? true, "an odd interval")
  } catch let error as InvocationFailure {
    try require(!error.message.isEmpty && error.message.utf8.count < 2_000, "an odd complaint")
  }
}

/// Environment variables, one `NAME=VALUE` per line.
let configuration = FuzzTarget("configuration") { input in
  var variables: [String: String] = [:]
  for line in text(input).split(separator: "\n") {
    guard let equals = line.firstIndex(of: "=") else { continue }
    let name = String(line[..<equals])
    // The configuration reads these files, and the fuzzer must not find files of this machine.
    if name.hasSuffix("_FILE") || name.hasSuffix("_BUNDLE") { continue }
    variables[name] = String(line[line.index(after: equals)...])
  }
  do {
    let configuration = try Configuration(Environment(variables))
    try require(configuration.interval > .zero, "an interval of nothing")
    for format in ReportFormat.allCases { _ = try configuration.topic(for: format) }
  } catch let error as ConfigurationError {
    try require(!error.mistakes.isEmpty, "a complaint about nothing")
    try require(error.mistakes.allSatisfy { !$0.variable.isEmpty && !$0.problem.isEmpty }, "an odd mistake")
  }
}

/// The component configuration from a Greengrass nucleus.
let componentConfiguration = FuzzTarget("component-configuration") { input in
  guard let value = try? JSONValue(parsing: input) else { return }
  let configuration = ComponentConfiguration(value)
  for variable in configuration.variables.keys {
    try require(!configuration.name(of: variable).isEmpty, "a variable without a name")
  }
}

/// The state file: an accepted state must stay the same when it is written and read again.
let savedState = FuzzTarget("saved-state") { input in
  do {
    let (state, origin) = try SavedState.decode(input)
    let (again, sameOrigin) = try SavedState.decode(state.encoded(origin))
    try require(again == state && sameOrigin == origin, "written and read, it is another")
    if let counters = state.baseline?.networkCounters {
      _ = counters.interfaces.map(\.traffic)
    }
  } catch let error as SavedStateError {
    try require(!"\(error)".isEmpty, "a complaint without words")
  }
}

/// A file of the agent's spool, and the same contents with the right signature and checksum.
let spooledReport = FuzzTarget("spooled-report") { input in
  var file = Array("DDSPOOL1".utf8)
  appendBigEndian(crc32(input), to: &file)
  for bytes in [input, file + input] {
    guard let report = try? SpooledReport.decode(bytes) else { continue }
    let again = try SpooledReport.decode(report.encoded)
    try require(again == report, "written and read, it is another")
  }
}

/// The output of a metrics command, and the list of built-in metrics in the configuration.
let customMetrics = FuzzTarget("custom-metrics") { input in
  if let value = try? JSONValue(parsing: input), let parsed = try? CustomMetric.parse(value) {
    let metrics = parsed.compactMap { try? $0.get() }
    try require(parsed.count == value.members?.count, "a member without an answer")
    var snapshot = MetricsSnapshot()
    snapshot.customMetrics = metrics
    let report = Report(id: 1, snapshot: snapshot, baseline: nil)
    let json = try JSONValue(parsing: report.encoded(as: .json, names: .long))
    let cbor = try JSONValue(parsingCBOR: report.encoded(as: .cbor, names: .long))
    try require(json["custom_metrics"]?.members?.count == cbor["custom_metrics"]?.members?.count, "lost")
  }
  if let chosen = try? SystemMetric.list(parsing: text(input)) {
    try require(Set(chosen.map(\.name.text)).count == chosen.count, "a metric twice")
  }
}
