import DefenderFunction
import DeviceDefender
import FleetDetection
import WireFormats

@testable import Detection

/// Security profiles: an accepted profile must stay the same when its behaviors are written and read again.
let securityProfiles = FuzzTarget("security-profiles") { input in
  let validation = ProfileValidation(of: input, name: "fuzz")
  guard let profile = validation.profile else {
    try require(!validation.mistakes.isEmpty, "rejected without a mistake")
    return
  }
  var document = JSONWriter()
  document.list(profile.behaviors) { $1.write(to: &$0) }
  let again = ProfileValidation(of: document.bytes, name: profile.name)
  try require(again.profile == profile, "written and read, the profile is another: \(again.mistakes)")
  // Compiling must not trap, nor evaluating what a report can have.
  var evaluator = Evaluator([profile])
  var observation = Observation(thing: "t", reportID: 1, time: 1_000, table: evaluator.table)
  observation.set(.listeningTCPPorts, .ports([0, 22, 65_535]))
  observation.set(.bytesOut, .count(.max))
  _ = evaluator.evaluate(observation)
}

/// Report streams: the events must be the same whole and in pieces.
let recordedReports = FuzzTarget("recorded-reports") { input in
  var whole = ReportRun()
  whole.append(Array(input.dropFirst()))
  whole.finish()
  var cut = ReportRun()
  for piece in pieces(of: input) { cut.append(Array(piece)) }
  cut.finish()
  try require(whole.events == cut.events && whole.messages == cut.messages, "cut into pieces, it is another")
  let saved = try DetectionState(parsingJSON: whole.evaluator.state.json)
  try require(saved == whole.evaluator.state, "saved and loaded, the state is another")
  // Compiling a learned profile takes long, so only some inputs do it.
  if let first = input.first, first & 15 == 0 { try learn(Array(input.dropFirst())) }
}

/// A profile learned from reports must be valid, and must raise no alarm over these reports.
private func learn(_ input: [UInt8]) throws {
  var learner = Learner()
  // A report with a mistake in one metric is read if no behavior needs that metric.
  guard forEachReport(in: input, learner.table, { learner.observe($0) }) else { return }
  guard let learned = LearnedProfile(learner, name: "fuzz", margin: 0) else { return }
  var document = JSONWriter()
  learned.write(to: &document)
  let validation = ProfileValidation(of: document.bytes, name: "x")
  try require(validation.profile == learned.profile, "what was learned isn't valid: \(validation.mistakes)")
  var evaluator = Evaluator([learned.profile])
  var events: [ViolationEvent] = []
  _ = forEachReport(in: input, evaluator.table) { events += evaluator.evaluate($0) }
  try require(events.isEmpty, "what was learned raises alarms")
}

/// Calls `body` for each report; returns false if one was rejected.
private func forEachReport(in input: [UInt8], _ table: MetricTable, _ body: (Observation) -> Void) -> Bool {
  var stream = ReportStream(table)
  stream.append(input)
  stream.finish()
  var isWhole = true
  while true {
    switch stream.next() {
    case .observation(let observation): body(observation)
    case .rejected, .failed: isWhole = false
    case .needsInput, .end: return isWhole
    }
  }
}

/// Saved states: an accepted state must stay the same when it is written and read again, as JSON and as CBOR.
let detectionStates = FuzzTarget("detection-state") { input in
  for isCBOR in [false, true] {
    let state: DetectionState
    do throws(DetectionStateError) {
      state = isCBOR ? try DetectionState(parsingCBOR: input) : try DetectionState(parsingJSON: input)
    } catch {
      try require(!"\(error)".isEmpty, "rejected without a reason")
      continue
    }
    try require(try DetectionState(parsingJSON: state.json) == state, "as JSON, the state is another")
    try require(try DetectionState(parsingCBOR: state.cbor) == state, "as CBOR, the state is another")
    try require(
      try DetectionState(parsingJSON: ReportRun.atDesk.continued(from: state).state.json).things.map(\.name)
        == state.things.map(\.name).sorted(), "continued, the state has other things")
    var evaluator = ReportRun.onDevice.continued(from: state)
    for thing in ["local", "pump-7"] {
      _ = evaluator.advance(to: 253_402_300_799_000, thing: thing)
      for id in UInt64(253_402_300_800)...253_402_300_803 {
        var observation = Observation(thing: thing, reportID: id, time: id * 1_000, table: evaluator.table)
        observation.set(.bytesOut, .count(id % 2 == 0 ? .max : 0))
        _ = evaluator.evaluate(observation)
      }
    }
    try require(
      try DetectionState(parsingJSON: evaluator.state.json) == evaluator.state, "evaluated, it can't be saved"
    )
  }
}

/// Evaluates a stream of reports against all kinds of behaviors.
private struct ReportRun {
  static let profiles: [SecurityProfile] = {
    let json = #"""
      [{"name":"t","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}},
       {"name":"d","metric":"aws:destination-ip-addresses","criteria":{"comparisonOperator":"not-in-cidr-set","value":{"cidrs":["10.0.0.0/8","::/0"]}}},
       {"name":"o","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":9},"durationSeconds":300}},
       {"name":"c","metric":"aws:num-established-tcp-connections","criteria":{"comparisonOperator":"greater-than","value":{"count":1},"durationSeconds":600}},
       {"name":"n","metric":"load","criteria":{"comparisonOperator":"less-than","value":{"number":1}}},
       {"name":"s","metric":"users","criteria":{"comparisonOperator":"in-set","value":{"strings":["root"]}}},
       {"name":"b","metric":"aws:all-bytes-out","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"}}},
       {"name":"l","metric":"load","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"},"durationSeconds":300}},
       {"name":"i","metric":"peers","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["192.0.2.0/24"]}}},
       {"name":"p","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","statisticalThreshold":{"statistic":"p90"},"durationSeconds":300}},
       {"name":"q","metric":"load","criteria":{"comparisonOperator":"greater-than","statisticalThreshold":{"statistic":"p0.1"},"durationSeconds":600}}]
      """#
    return [ProfileValidation(of: Array(json.utf8), name: "fuzz").profile].compactMap { $0 }
  }()
  // Not constants: LeakSanitizer doesn't find the arrays of a global evaluator, whose enums use bits of their addresses.
  static var atDesk: Evaluator { Evaluator(profiles) }
  static var onDevice: Evaluator { Evaluator(profiles, windowsEnd: .clock) }

  private(set) var evaluator = ReportRun.atDesk
  private(set) var events: [ViolationEvent] = []
  private(set) var messages: [String] = []
  private var stream: ReportStream

  init() { stream = ReportStream(evaluator.table) }

  mutating func append(_ bytes: [UInt8]) {
    stream.append(bytes)
    read()
  }

  mutating func finish() {
    stream.finish()
    read()
  }

  private mutating func read() {
    while true {
      switch stream.next() {
      case .observation(let observation): events += evaluator.evaluate(observation)
      case .rejected(let message), .failed(let message): messages.append(message)
      case .needsInput, .end: return
      }
    }
  }
}

/// Events of `detect_handler` and the records in them: the thing of a record must be the one that the general parser finds.
let fleetRecords = FuzzTarget("fleet-records") { input in
  var bodies = [input]
  if case .batch(let records)? = try? DetectEvent(input) { bodies += records.map(\.body) }
  for body in bodies {
    _ = try? FleetRecord(body: body)
    guard let envelope = try? ReportEnvelope(parsing: body), let json = try? JSONValue(parsing: body) else {
      continue
    }
    try require(envelope.thing == json["thing"]?.string, "the thing is another")
    try require(envelope.timestamp == json["timestamp"]?.integer(), "the time is another")
    let report = envelope.payload ?? body
    let decoder = ReportDecoder(ReportRun.atDesk.table)
    if let observation = try? decoder.observation(report, thing: "pump-7", time: envelope.timestamp) {
      try require(observation.thing == "pump-7", "the observation is of another thing")
    }
  }
}
