package import WireFormats

/// The state of an evaluator between two observations: a small value for each thing and behavior.
package struct DetectionState: Equatable, Sendable {
  struct Entry: Equatable, Sendable {
    let key: BehaviorKey
    let state: BehaviorState
    /// The learned baseline. Nil for a behavior without one, and before its first datapoint.
    var baseline: LearnedBaseline?
  }

  struct Thing: Equatable, Sendable {
    let name: String
    let lastReportID: UInt64?
    let behaviors: [Entry]
  }

  var things: [Thing]
  /// The open windows of statistical thresholds; nil if there are none.
  var fleet: FleetState?

  package init() { things = [] }

  /// Whether any alarm is active.
  package var hasAlarms: Bool {
    things.contains { thing in thing.behaviors.contains { $0.state.alarmStart != nil } }
  }
}

extension Evaluator {
  /// The state from which an evaluator continues.
  package var state: DetectionState {
    var state = DetectionState()
    let ordered = indexes.sorted { $0.key < $1.key }
    state.fleet = fleet.map { FleetState($0, program, order: ordered.map(\.value)) }
    for (name, index) in ordered {
      let thing = things[index]
      var entries = zip(program.steps, thing.behaviors)
        .filter { $1 != BehaviorState() }
        .map { step, state in
          var entry = DetectionState.Entry(key: step.key, state: state)
          if case .baseline(let test) = step.test { entry.baseline = thing.baselines[test.index] }
          return entry
        }
      for orphan in thing.orphans {
        var former = BehaviorState()
        former.alarmStart = orphan.alarmStart
        entries.append(DetectionState.Entry(key: orphan.key, state: former))
      }
      state.things.append(
        DetectionState.Thing(name: name, lastReportID: thing.lastReportID, behaviors: entries))
    }
    return state
  }
}

/// Why a saved state can't be used.
package enum DetectionStateError: Error, Equatable, Sendable, CustomStringConvertible {
  case syntax(String)
  case version(String)
  case member(String)

  package var description: String {
    switch self {
    case .syntax(let reason): reason
    case .version(let text):
      "it has version \(text), but this program supports version \(DetectionState.version)"
    case .member(let name): "the member '\(name)' is missing or malformed"
    }
  }

  /// Returns the error with `place`, a path in the document, before the member's name.
  package func within(_ place: String) -> DetectionStateError {
    if case .member(let name) = self { .member("\(place).\(name)") } else { self }
  }
}

extension DetectionState {
  static let version: UInt64 = 1

  /// Returns the state as a JSON document.
  package var json: [UInt8] {
    var document = JSONWriter()
    write(to: &document)
    return document.bytes
  }

  /// Returns the state as a CBOR item.
  package var cbor: [UInt8] {
    var document = CBORWriter()
    write(to: &document)
    return document.bytes
  }

  package init(parsingJSON bytes: [UInt8]) throws(DetectionStateError) {
    var reader = StateReader(JSONScanner(bytes))
    try self.init(document: &reader)
  }

  package init(parsingCBOR bytes: [UInt8]) throws(DetectionStateError) {
    var names = StateNames()
    try self.init(parsingCBOR: bytes, &names)
  }

  /// Reads a state, and reuses the strings of the state that was last read with `names`. Names that differ only take more time.
  package init(parsingCBOR bytes: [UInt8], _ names: inout StateNames) throws(DetectionStateError) {
    var reader = StateReader(CBORScanner(bytes), names)
    names = StateNames()
    defer { names = reader.names }
    try self.init(document: &reader)
  }

  /// Reads the state from a value of a larger document.
  package init(_ json: JSONValue) throws(DetectionStateError) {
    var document = JSONWriter()
    json.write(to: &document)
    try self.init(parsingJSON: document.bytes)
  }

  /// Writes the state.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: fleet == nil ? 2 : 3)
    document.member("version", Self.version)
    document.key("things")
    document.list(things) { document, thing in
      document.beginMap(count: thing.lastReportID == nil ? 2 : 3)
      document.member("thing", thing.name)
      if let id = thing.lastReportID { document.member("last_report_id", id) }
      document.key("behaviors")
      document.list(thing.behaviors) { $1.write(to: &$0) }
      document.endMap()
    }
    if let fleet {
      document.key("fleet")
      fleet.write(to: &document)
    }
    document.endMap()
  }

  private init(document reader: inout StateReader<some DocumentScanner>) throws(DetectionStateError) {
    var isVersion = false
    var things: [Thing]?
    var fleet: FleetState?
    try reader.map("version") { reader, key throws(DetectionStateError) in
      if reader.matches(key, "version") {
        try Self.checkVersion(&reader)
        isVersion = true
      } else if reader.matches(key, "things") {
        things = try Self.things(&reader)
      } else if reader.matches(key, "fleet") {
        fleet = try FleetState.within { () throws(DetectionStateError) in
          try FleetState(&reader, thingCount: things?.count)
        }
      } else {
        try reader.skip()
      }
    }
    try reader.end()
    guard isVersion else { throw .member("version") }
    guard let things else { throw .member("things") }
    try FleetState.within { () throws(DetectionStateError) in try fleet?.check(thingCount: things.count) }
    (self.things, self.fleet) = (things, fleet)
  }

  private static func checkVersion(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) {
    switch try reader.scanned("version") {
    case .integer(Self.version): return
    case .integer(let other): throw .version("\(other)")
    case .real(let other): throw .version("\(other)")
    }
  }

  private static func things(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [Thing] {
    var things: [Thing] = []
    var names: Set<String> = []
    try reader.list("things") { reader throws(DetectionStateError) in
      do throws(DetectionStateError) {
        let thing = try Thing(&reader)
        // The state of a single thing is read often, and needs no set.
        if things.count == 1 { names.insert(things[0].name) }
        guard things.isEmpty || names.insert(thing.name).inserted else { throw .member("thing") }
        things.append(thing)
      } catch {
        throw error.within("things[\(things.count)]")
      }
    }
    return things
  }
}

extension DetectionState.Thing {
  fileprivate init(_ reader: inout StateReader<some DocumentScanner>) throws(DetectionStateError) {
    var name: String?
    var lastReportID: UInt64?
    var behaviors: [DetectionState.Entry]?
    try reader.map("thing") { reader, key throws(DetectionStateError) in
      if reader.matches(key, "thing") {
        name = try reader.text("thing")
      } else if reader.matches(key, "last_report_id") {
        lastReportID = try reader.integer("last_report_id")
      } else if reader.matches(key, "behaviors") {
        behaviors = try Self.behaviors(&reader)
      } else {
        try reader.skip()
      }
    }
    guard let name else { throw .member("thing") }
    guard let behaviors else { throw .member("behaviors") }
    self.init(name: name, lastReportID: lastReportID, behaviors: behaviors)
  }

  private static func behaviors(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [DetectionState.Entry] {
    var entries: [DetectionState.Entry] = []
    entries.reserveCapacity(4)
    try reader.list("behaviors") { reader throws(DetectionStateError) in
      do throws(DetectionStateError) {
        entries.append(try DetectionState.Entry(&reader))
      } catch {
        throw error.within("behaviors[\(entries.count)]")
      }
    }
    return entries
  }
}

extension DetectionState.Entry {
  fileprivate func write(to document: inout some DocumentWriter & ~Copyable) {
    let hasWindow = state.window != nil
    document.beginMap(
      count: 7 + (hasWindow ? 5 : 0) + (state.alarmStart == nil ? 0 : 1) + (state.pending == nil ? 0 : 1)
        + (baseline == nil ? 0 : 1))
    document.member("profile", key.profile)
    document.member("behavior", key.behavior)
    document.member("metric", key.metric)
    document.member("fingerprint", key.fingerprint)
    document.member("violating", UInt64(state.violating))
    document.member("conforming", UInt64(state.conforming))
    document.member("last_metric", state.lastMetric)
    if let window = state.window {
      document.member("window", window)
      document.key("open")
      document.boolean(state.isOpen)
      document.key("decided")
      document.boolean(state.isDecided)
      document.member("count", state.count)
      document.key("number")
      document.number(state.number)
    }
    if let start = state.alarmStart { document.member("alarm_start", start) }
    if let pending = state.pending { document.member("pending", pending) }
    if let baseline {
      document.key("baseline")
      document.beginMap(count: 2)
      document.member("model", LearnedBaseline.model)
      document.member("state", base64(baseline.bytes))
      document.endMap()
    }
    document.endMap()
  }
}

// Reading.
extension DetectionState.Entry {
  /// The members of an entry that have been read so far.
  private struct Draft {
    var key = BehaviorKeyDraft()
    var state = BehaviorState()
    var isOpen: Bool?
    var isDecided: Bool?
    var count: UInt64?
    var number: Double?
    var violating: UInt64?
    var conforming: UInt64?
    var lastMetric: UInt64?
    var baseline: LearnedBaseline?
  }

  fileprivate init(_ reader: inout StateReader<some DocumentScanner>) throws(DetectionStateError) {
    var draft = Draft()
    try reader.map("behaviors") { reader, key throws(DetectionStateError) in
      guard try !draft.key.read(key, &reader) else { return }
      if reader.matches(key, "violating") {
        draft.violating = try reader.integer("violating", to: UInt64(BehaviorState.longestRun))
      } else if reader.matches(key, "conforming") {
        draft.conforming = try reader.integer("conforming", to: UInt64(BehaviorState.longestRun))
      } else if reader.matches(key, "last_metric") {
        draft.lastMetric = try reader.integer("last_metric")
      } else if reader.matches(key, "alarm_start") {
        draft.state.alarmStart = try reader.integer("alarm_start")
      } else if reader.matches(key, "pending") {
        draft.state.pending = try reader.integer("pending")
      } else if reader.matches(key, "baseline") {
        draft.baseline = try Self.baseline(&reader)
      } else {
        try Self.readWindow(key, &reader, &draft)
      }
    }
    try self.init(draft)
  }

  private init(_ draft: consuming Draft) throws(DetectionStateError) {
    key = try draft.key.complete()
    var state = draft.state
    guard let violating = draft.violating else { throw .member("violating") }
    guard let conforming = draft.conforming else { throw .member("conforming") }
    guard let lastMetric = draft.lastMetric else { throw .member("last_metric") }
    (state.violating, state.conforming) = (UInt8(clamping: violating), UInt8(clamping: conforming))
    state.lastMetric = lastMetric
    if state.window != nil {
      guard let isOpen = draft.isOpen else { throw .member("open") }
      guard let isDecided = draft.isDecided else { throw .member("decided") }
      guard let count = draft.count else { throw .member("count") }
      guard let number = draft.number else { throw .member("number") }
      (state.isOpen, state.isDecided, state.count, state.number) = (isOpen, isDecided, count, number)
    }
    (self.state, baseline) = (state, draft.baseline)
  }

  /// Reads a member of the window, or skips an unknown one.
  private static func readWindow(
    _ key: TextRange, _ reader: inout StateReader<some DocumentScanner>, _ draft: inout Draft
  ) throws(DetectionStateError) {
    if reader.matches(key, "window") {
      // The end of a later window would overflow.
      draft.state.window = try reader.integer("window", to: UInt64(1) << 40 - 1)
    } else if reader.matches(key, "open") {
      draft.isOpen = try reader.boolean("open")
    } else if reader.matches(key, "decided") {
      draft.isDecided = try reader.boolean("decided")
    } else if reader.matches(key, "count") {
      draft.count = try reader.integer("count")
    } else if reader.matches(key, "number") {
      draft.number = try reader.number("number")
    } else {
      try reader.skip()
    }
  }

  /// Returns the learned baseline; nil if it is of another version of the model, which can't be used, but the alarms can.
  private static func baseline(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> LearnedBaseline? {
    var model: UInt64?
    var text: String?
    try reader.map("baseline") { reader, key throws(DetectionStateError) in
      if reader.matches(key, "model") {
        model = try reader.integer("baseline")
      } else if reader.matches(key, "state") {
        text = try reader.textIfAny()
      } else {
        try reader.skip()
      }
    }
    guard let model else { throw .member("baseline") }
    guard model == LearnedBaseline.model else { return nil }
    guard let bytes = text.flatMap({ base64Decoding($0) }), let baseline = LearnedBaseline(bytes) else {
      throw .member("baseline")
    }
    return baseline
  }
}

/// The members of a ``BehaviorKey`` that have been read so far.
struct BehaviorKeyDraft {
  private var profile: String?
  private var behavior: String?
  private var metric: String?
  private var fingerprint: UInt64?

  /// Reads the value of `name` if it is a member of the key. Returns false if it isn't, and leaves the value unread.
  mutating func read(
    _ name: TextRange, _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> Bool {
    if reader.matches(name, "profile") {
      profile = try reader.name("profile")
    } else if reader.matches(name, "behavior") {
      behavior = try reader.name("behavior")
    } else if reader.matches(name, "metric") {
      metric = try reader.name("metric")
    } else if reader.matches(name, "fingerprint") {
      fingerprint = try reader.integer("fingerprint")
    } else {
      return false
    }
    return true
  }

  func complete() throws(DetectionStateError) -> BehaviorKey {
    guard let profile else { throw .member("profile") }
    guard let behavior else { throw .member("behavior") }
    guard let metric else { throw .member("metric") }
    guard let fingerprint else { throw .member("fingerprint") }
    return BehaviorKey(profile: profile, behavior: behavior, metric: metric, fingerprint: fingerprint)
  }
}
