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
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw .syntax("\(error)")
    }
    try self.init(value)
  }

  package init(parsingCBOR bytes: [UInt8]) throws(DetectionStateError) {
    let value: JSONValue
    do throws(CBORError) {
      value = try JSONValue(parsingCBOR: bytes)
    } catch {
      throw .syntax("\(error)")
    }
    try self.init(value)
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

  /// Reads the state from a JSON value.
  package init(_ json: JSONValue) throws(DetectionStateError) {
    guard let version = json["version"] else { throw .member("version") }
    guard let number: UInt64 = version.integer(), number == Self.version else {
      if case .number(let text) = version { throw .version(text) }
      throw .member("version")
    }
    guard let list = json["things"]?.array else { throw .member("things") }
    things = []
    var names: Set<String> = []
    for (index, thing) in list.enumerated() {
      do throws(DetectionStateError) {
        let read = try Thing(thing)
        guard names.insert(read.name).inserted else { throw .member("thing") }
        things.append(read)
      } catch {
        throw error.within("things[\(index)]")
      }
    }
    guard let saved = json["fleet"] else { return }
    do throws(DetectionStateError) {
      fleet = try FleetState(saved, thingCount: things.count)
    } catch {
      throw error.within("fleet")
    }
  }
}

extension DetectionState.Thing {
  fileprivate init(_ json: JSONValue) throws(DetectionStateError) {
    guard let name = json["thing"]?.string else { throw .member("thing") }
    guard let list = json["behaviors"]?.array else { throw .member("behaviors") }
    self.name = name
    lastReportID = try json.optional("last_report_id")
    var entries: [DetectionState.Entry] = []
    for (index, behavior) in list.enumerated() {
      do throws(DetectionStateError) {
        entries.append(try DetectionState.Entry(behavior))
      } catch {
        throw error.within("behaviors[\(index)]")
      }
    }
    behaviors = entries
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

  fileprivate init(_ json: JSONValue) throws(DetectionStateError) {
    func text(_ name: String) throws(DetectionStateError) -> String {
      guard let text = json[name]?.string else { throw .member(name) }
      return text
    }
    func run(_ name: String) throws(DetectionStateError) -> UInt8 {
      guard let run: UInt8 = json[name]?.integer(), run <= BehaviorState.longestRun else {
        throw .member(name)
      }
      return run
    }
    guard let fingerprint: UInt64 = try json.optional("fingerprint") else { throw .member("fingerprint") }
    key = BehaviorKey(
      profile: try text("profile"), behavior: try text("behavior"), metric: try text("metric"),
      fingerprint: fingerprint)
    var state = BehaviorState()
    state.violating = try run("violating")
    state.conforming = try run("conforming")
    guard let lastMetric: UInt64 = try json.optional("last_metric") else { throw .member("last_metric") }
    state.lastMetric = lastMetric
    if let window: UInt64 = try json.optional("window") {
      // The end of a later window would overflow.
      guard window < UInt64(1) << 40 else { throw .member("window") }
      guard let isOpen = json["open"]?.boolean else { throw .member("open") }
      guard let isDecided = json["decided"]?.boolean else { throw .member("decided") }
      guard let count: UInt64 = try json.optional("count") else { throw .member("count") }
      guard let number = json["number"]?.double, number.isFinite else { throw .member("number") }
      (state.window, state.isOpen, state.isDecided) = (window, isOpen, isDecided)
      (state.count, state.number) = (count, number)
    }
    state.alarmStart = try json.optional("alarm_start")
    state.pending = try json.optional("pending")
    self.state = state
    guard let saved = json["baseline"] else { return }
    guard let model: UInt64 = try saved.optional("model") else { throw .member("baseline") }
    // A baseline of another version of the model can't be used, but the alarms can.
    guard model == LearnedBaseline.model else { return }
    guard let text = saved["state"]?.string, let bytes = base64Decoding(text),
      let baseline = LearnedBaseline(bytes)
    else { throw .member("baseline") }
    self.baseline = baseline
  }
}

extension JSONValue {
  /// Returns the integer called `name`; nil if there is none.
  fileprivate func optional(_ name: String) throws(DetectionStateError) -> UInt64? {
    guard let value = self[name] else { return nil }
    guard let number: UInt64 = value.integer() else { throw .member(name) }
    return number
  }
}
