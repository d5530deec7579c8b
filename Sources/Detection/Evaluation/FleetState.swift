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

  /// Reads the state of `thingCount` things.
  init(_ json: JSONValue, thingCount: Int) throws(DetectionStateError) {
    func list(_ json: JSONValue, _ name: String) throws(DetectionStateError) -> [JSONValue] {
      guard let list = json[name]?.array else { throw .member(name) }
      return list
    }
    func number(_ json: JSONValue, _ name: String) throws(DetectionStateError) -> UInt64 {
      guard let number: UInt64 = json[name]?.integer() else { throw .member(name) }
      return number
    }
    times = []
    for time in try list(json, "times") {
      guard let time: UInt64 = time.integer(), time / 1_000 <= ReportReader.lastSecond else {
        throw .member("times")
      }
      times.append(time)
    }
    guard times.count == thingCount else { throw .member("times") }
    for clock in try list(json, "windows") {
      let (length, oldest) = (try number(clock, "length"), try number(clock, "oldest"))
      guard oldest < UInt64(1) << 40 else { throw .member("oldest") }
      clocks.append(Clock(length: length, oldest: oldest))
    }
    for behavior in try list(json, "behaviors") {
      guard let profile = behavior["profile"]?.string else { throw .member("profile") }
      guard let name = behavior["behavior"]?.string else { throw .member("behavior") }
      guard let metric = behavior["metric"]?.string else { throw .member("metric") }
      let key = BehaviorKey(
        profile: profile, behavior: name, metric: metric, fingerprint: try number(behavior, "fingerprint"))
      var values: [Value] = []
      for value in try list(behavior, "values") {
        guard let thing: Int = value["thing"]?.integer(), (0..<thingCount).contains(thing) else {
          throw .member("thing")
        }
        guard let isNext = value["next"]?.boolean else { throw .member("next") }
        let number = try number(value, "value")
        guard number < .max else { throw .member("value") }
        values.append(Value(thing: thing, isNext: isNext, value: number))
      }
      behaviors.append(Behavior(key: key, values: values))
    }
  }
}
