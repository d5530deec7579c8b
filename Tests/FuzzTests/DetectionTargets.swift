import DeviceDefender
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
    var evaluator = Evaluator(ReportRun.profiles, state: state, windowsEnd: .clock)
    for thing in ["local", "pump-7"] { _ = evaluator.advance(to: 253_402_300_799_000, thing: thing) }
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
       {"name":"i","metric":"peers","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["192.0.2.0/24"]}}}]
      """#
    return [ProfileValidation(of: Array(json.utf8), name: "fuzz").profile].compactMap { $0 }
  }()

  private(set) var evaluator = Evaluator(ReportRun.profiles)
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
