import WireFormats

/// The open windows of statistical thresholds, as a part of a ``DetectionState``. A thing is given as its position in the state's list of things.
struct FleetState: Equatable, Sendable {
  /// The oldest open window of a length in milliseconds.
  struct Clock: Equatable, Sendable {
    let length: UInt64
    let oldest: UInt64
  }

  /// The value of a thing in an open window.
  struct Value: Equatable, Sendable {
    let thing: Int
    let isNext: Bool
    let value: UInt64
  }

  struct Behavior: Equatable, Sendable {
    let key: BehaviorKey
    let values: [Value]
  }

  /// The time of the last report of each thing, in milliseconds.
  var times: [UInt64]
  var clocks: [Clock] = []
  var behaviors: [Behavior] = []
}

extension FleetState {
  /// Creates the state of a fleet. `order` has the indexes of the things, in the order in which the state lists them.
  init(_ fleet: Fleet, _ program: Program, order: [Int]) {
    times = order.map { $0 < fleet.times.count ? fleet.times[$0] : 0 }
    for clock in fleet.clocks {
      if let oldest = clock.oldest { clocks.append(Clock(length: clock.length, oldest: oldest)) }
    }
    for step in program.steps {
      guard case .statistical(let rule) = step.test else { continue }
      var values: [Value] = []
      for (position, index) in order.enumerated() {
        for isNext in [false, true] {
          guard let value = fleet.values[rule.fleetIndex].value(of: index, isNext: isNext) else { continue }
          values.append(Value(thing: position, isNext: isNext, value: value))
        }
      }
      if !values.isEmpty { behaviors.append(Behavior(key: step.key, values: values)) }
    }
  }

  /// Continues a fleet, whose things are `names`, from this state.
  func restore(_ fleet: inout Fleet?, _ program: Program, _ names: [String]) {
    fleet?.restore(
      names, times,
      oldest: Dictionary(clocks.map { ($0.length, $0.oldest) }, uniquingKeysWith: { first, _ in first }))
    for step in program.steps {
      guard case .statistical(let rule) = step.test,
        let behavior = behaviors.first(where: { $0.key == step.key })
      else { continue }
      for value in behavior.values {
        fleet?.restore(value.value, of: value.thing, isNext: value.isNext, behavior: rule.fleetIndex)
      }
    }
  }

  func write(to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: 3)
    document.key("times")
    document.list(times) { $0.integer($1) }
    document.key("windows")
    document.list(clocks) { document, clock in
      document.beginMap(count: 2)
      document.member("length", clock.length)
      document.member("oldest", clock.oldest)
      document.endMap()
    }
    document.key("behaviors")
    document.list(behaviors) { document, behavior in
      document.beginMap(count: 5)
      document.member("profile", behavior.key.profile)
      document.member("behavior", behavior.key.behavior)
      document.member("metric", behavior.key.metric)
      document.member("fingerprint", behavior.key.fingerprint)
      document.key("values")
      document.list(behavior.values) { document, value in
        document.beginMap(count: 3)
        document.member("thing", UInt64(value.thing))
        document.key("next")
        document.boolean(value.isNext)
        document.member("value", value.value)
        document.endMap()
      }
      document.endMap()
    }
    document.endMap()
  }
}

// Reading.
extension FleetState {
  /// Calls `read`, whose errors are about a member of `fleet`.
  static func within<Value>(
    _ read: () throws(DetectionStateError) -> Value
  ) throws(DetectionStateError) -> Value {
    do throws(DetectionStateError) {
      return try read()
    } catch {
      throw error.within("fleet")
    }
  }

  /// Reads the state. `thingCount` is the number of things if it is known already; otherwise call ``check(thingCount:)``.
  init(
    _ reader: inout StateReader<some DocumentScanner>, thingCount: Int?
  ) throws(DetectionStateError) {
    var times: [UInt64]?
    var clocks: [Clock]?
    var behaviors: [Behavior]?
    try reader.map("times") { reader, key throws(DetectionStateError) in
      if reader.matches(key, "times") {
        times = try Self.times(&reader)
      } else if reader.matches(key, "windows") {
        clocks = try Self.clocks(&reader)
      } else if reader.matches(key, "behaviors") {
        behaviors = try Self.behaviors(&reader)
      } else {
        try reader.skip()
      }
    }
    guard let times, times.count == thingCount ?? times.count else { throw .member("times") }
    guard let clocks else { throw .member("windows") }
    guard let behaviors else { throw .member("behaviors") }
    (self.times, self.clocks, self.behaviors) = (times, clocks, behaviors)
  }

  /// Throws unless this can be the state of so many things.
  func check(thingCount: Int) throws(DetectionStateError) {
    guard times.count == thingCount else { throw .member("times") }
    for behavior in behaviors {
      guard behavior.values.allSatisfy({ $0.thing < thingCount }) else { throw .member("thing") }
    }
  }

  private static func times(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [UInt64] {
    var times: [UInt64] = []
    try reader.list("times") { reader throws(DetectionStateError) in
      times.append(try reader.integer("times", to: ReportReader.lastSecond * 1_000 + 999))
    }
    return times
  }

  private static func clocks(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [Clock] {
    var clocks: [Clock] = []
    try reader.list("windows") { reader throws(DetectionStateError) in
      var (length, oldest): (UInt64?, UInt64?)
      try reader.map("windows") { reader, key throws(DetectionStateError) in
        if reader.matches(key, "length") {
          length = try reader.integer("length")
        } else if reader.matches(key, "oldest") {
          oldest = try reader.integer("oldest", to: UInt64(1) << 40 - 1)
        } else {
          try reader.skip()
        }
      }
      guard let length else { throw .member("length") }
      guard let oldest else { throw .member("oldest") }
      clocks.append(Clock(length: length, oldest: oldest))
    }
    return clocks
  }

  private static func behaviors(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [Behavior] {
    var behaviors: [Behavior] = []
    try reader.list("behaviors") { reader throws(DetectionStateError) in
      var draft = BehaviorKeyDraft()
      var values: [Value]?
      try reader.map("behaviors") { reader, key throws(DetectionStateError) in
        guard try !draft.read(key, &reader) else { return }
        if reader.matches(key, "values") { values = try Self.values(&reader) } else { try reader.skip() }
      }
      let key = try draft.complete()
      guard let values else { throw .member("values") }
      behaviors.append(Behavior(key: key, values: values))
    }
    return behaviors
  }

  private static func values(
    _ reader: inout StateReader<some DocumentScanner>
  ) throws(DetectionStateError) -> [Value] {
    var values: [Value] = []
    try reader.list("values") { reader throws(DetectionStateError) in
      var (thing, number): (UInt64?, UInt64?)
      var isNext: Bool?
      try reader.map("values") { reader, key throws(DetectionStateError) in
        if reader.matches(key, "thing") {
          thing = try reader.integer("thing", to: UInt64(Int.max))
        } else if reader.matches(key, "next") {
          isNext = try reader.boolean("next")
        } else if reader.matches(key, "value") {
          number = try reader.integer("value", to: .max - 1)
        } else {
          try reader.skip()
        }
      }
      guard let thing = thing.flatMap({ Int(exactly: $0) }) else { throw .member("thing") }
      guard let isNext else { throw .member("next") }
      guard let number else { throw .member("value") }
      values.append(Value(thing: thing, isNext: isNext, value: number))
    }
    return values
  }
}
