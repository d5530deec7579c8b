@testable import Detection
import DeviceDefender
import Testing
import WireFormats

/// Learned baselines. Tests/Conformance/detect compares them with a second implementation, Tests/Baseline measures them.
struct BaselineTests {
  @Test(
    arguments: [
      (0, 0, 0), (1, 4, 22), (16, 4, 256), (4_095, 12, 255), (4_096, 12, 256), (.max, 12, 13_056),
      (UInt64(1) << 63, 4, 15_104), (UInt64(1) << 63 + 1, 2, 15_616),
      // Counts next to a power of 2^(1/256): the smallest count that reaches it, and the count before that.
      (7_840_356_701_283_281_879, 2, 15_556), (7_840_356_701_283_281_878, 2, 15_555),
      (5_758_155_669_098_229_375, 2, 15_442), (5_758_155_669_098_229_374, 2, 15_441),
    ] as [(UInt64, Int, Int)])
  func `a count has its exact place on the scale`(count: UInt64, exponent: Int, place: Int) {
    #expect(LogarithmicScale.count(exponent: exponent).position(count, 0) == place)
  }

  @Test(
    arguments: [
      (0, 0), (-0.0, 0), (0.5, 149), (1, 256), (-1, -256), (3, 512), (1_023, 2_560), (-1_022.9, -2_559),
      (0x1p63, 16_128), (1e300, 16_128), (.infinity, 16_128), (-.infinity, -16_128),
      (.leastNonzeroMagnitude, 0),
      (0x1p62, 15_872), (.nan, nil), (.signalingNaN, nil),
    ] as [(Double, Int?)])
  func `a number has its exact place on the scale`(number: Double, place: Int?) {
    #expect(LogarithmicScale.number.position(0, number) == place)
  }

  @Test func `needs 64 bytes, in memory and saved`() throws {
    #expect(MemoryLayout<LearnedBaseline>.stride == 64 && LearnedBaseline().bytes.count == 64)
    #expect(LearnedBaseline(LearnedBaseline().bytes) == LearnedBaseline())
  }

  private static func profile(_ level: String, _ metric: String = "aws:all-bytes-out", _ more: String = "")
    -> SecurityProfile
  {
    DetectionTests.profile(
      #"[{"name":"b","metric":"\#(metric)","criteria":{"mlDetectionConfig":{"confidenceLevel":"\#(level)"}\#(more)}}]"#
    )
  }

  private static let start: UInt64 = 1_795_392_000

  private static func observation(_ number: Int, _ datapoint: Datapoint, _ table: MetricTable) -> Observation
  {
    let seconds = start + UInt64(number) * 300
    var observation = Observation(thing: "t", reportID: seconds, time: seconds * 1_000, table: table)
    if case .number = datapoint, let slot = table.slot(ofCustom: "mine") {
      observation.datapoints[slot] = datapoint
    } else {
      observation.set(.bytesOut, datapoint)
      observation.set(.establishedConnectionCount, datapoint)
    }
    return observation
  }

  /// The number of reports until a baseline stops learning, if each hour has twelve.
  private static let learning = 12 * (LearnedBaseline.learningHours + 1)

  /// Returns an evaluator that has learned the datapoints of two weeks, and whether it raised an alarm.
  private static func learned(_ profile: SecurityProfile, _ datapoint: (Int) -> Datapoint) -> (
    Evaluator, Bool
  ) {
    var evaluator = Evaluator([profile])
    var hasEvents = false
    for number in 0..<learning {
      hasEvents =
        !evaluator.evaluate(observation(number, datapoint(number), evaluator.table)).isEmpty || hasEvents
    }
    return (evaluator, hasEvents)
  }

  /// Evaluates further datapoints, and returns the types of their events.
  private static func events(_ evaluator: inout Evaluator, _ datapoints: [Datapoint]) -> [String] {
    datapoints.enumerated().flatMap { number, datapoint in
      evaluator.evaluate(observation(learning + number, datapoint, evaluator.table)).map(\.type.rawValue)
    }
  }

  @Test func `is silent while it learns`() {
    var evaluator = Evaluator([Self.profile("LOW")])
    for number in 0..<Self.learning - 12 {
      let count: UInt64 = number % 1_000 == 999 ? .max : 1_000
      #expect(evaluator.evaluate(Self.observation(number, .count(count), evaluator.table)).isEmpty)
      #expect(evaluator.baselines == (1, 1))
    }
    _ = evaluator.evaluate(Self.observation(Self.learning, .count(1_000), evaluator.table))
    #expect(evaluator.baselines == (1, 0))
  }

  @Test(
    arguments: [
      (1_150_000, []), (1_300_000, ["LOW"]), (1_700_000, ["LOW", "MEDIUM"]),
      (3_000_000, ["LOW", "MEDIUM", "HIGH"]),
    ] as [(UInt64, [String])])
  func `a higher confidence level needs a more unusual datapoint`(value: UInt64, levels: [String]) {
    for level in ["LOW", "MEDIUM", "HIGH"] {
      var (evaluator, _) = Self.learned(Self.profile(level)) { _ in .count(1_000_000) }
      let found = Self.events(&evaluator, [.count(value), .count(1_000_000)])
      #expect(found == (levels.contains(level) ? ["in-alarm", "alarm-cleared"] : []), "\(level)")
    }
  }

  @Test(
    arguments: [
      ("aws:all-bytes-out", 0), ("aws:all-bytes-out", 700), ("aws:num-established-tcp-connections", 0),
      ("aws:num-established-tcp-connections", 2),
    ] as [(String, UInt64)])
  func `an idle device that stays idle raises no alarm`(metric: String, most: UInt64) {
    var random = SeededGenerator(seed: 3)
    let values = (0..<Self.learning + 3_000).map { _ in UInt64.random(in: 0...most, using: &random) }
    var (evaluator, hasEvents) = Self.learned(Self.profile("LOW", metric)) { .count(values[$0]) }
    #expect(!hasEvents)
    #expect(Self.events(&evaluator, values.dropFirst(Self.learning).map { .count($0) }) == [])
  }

  @Test func `less than usual is unusual for custom numbers only`() {
    var (counts, _) = Self.learned(Self.profile("HIGH")) { _ in .count(1_000_000) }
    #expect(Self.events(&counts, [.count(0)]) == [])
    for value in [1.0, -50, 500, .infinity] {
      var (numbers, _) = Self.learned(Self.profile("HIGH", "mine")) { _ in .number(50) }
      #expect(
        Self.events(&numbers, [.number(value), .number(50)]) == ["in-alarm", "alarm-cleared"], "\(value)")
    }
    var (numbers, _) = Self.learned(Self.profile("HIGH", "mine")) { _ in .number(50) }
    #expect(Self.events(&numbers, [.number(.nan), .number(49)]) == [])
  }

  @Test func `three datapoints in a row are unusual that single ones aren't`() {
    var (evaluator, _) = Self.learned(Self.profile("HIGH")) { .count($0 % 50 == 7 ? 64_000_000 : 500_000) }
    let high = Datapoint.count(40_000_000)
    let usual = Datapoint.count(500_000)
    #expect(
      Self.events(&evaluator, [high, usual, usual, high, high, usual, high, high, high]) == ["in-alarm"])
  }

  @Test func `knows the hours of the day`() {
    // By day, from 8 to 18 hours, there is a hundred times as much traffic.
    let usual: (Int) -> Datapoint = { (8..<18).contains($0 / 12 % 24) ? .count(50_000_000) : .count(500_000) }
    for (hour, isUnusual) in [(1, true), (12, false)] {
      var (evaluator, hasEvents) = Self.learned(Self.profile("HIGH"), usual)
      #expect(!hasEvents)
      let number = Self.learning + (hour - Self.learning / 12 % 24 + 24) % 24 * 12
      let found = evaluator.evaluate(Self.observation(number, .count(50_000_000), evaluator.table))
      #expect(found.isEmpty != isUnusual, "\(hour)")
    }
  }

  @Test(arguments: ["LOW", "MEDIUM", "HIGH"])
  func `a change that lasts stays unusual for an hour and is accepted within a day`(level: String) {
    for factor in [UInt64(8), 1_000_000] {
      var (evaluator, _) = Self.learned(Self.profile(level)) { _ in .count(1_000_000) }
      let changed = [Datapoint](repeating: .count(1_000_000 * factor), count: 13)
      #expect(Self.events(&evaluator, changed) == ["in-alarm"])
      var found: [String] = []
      for number in 13..<2_000 {
        let event = evaluator.evaluate(
          Self.observation(Self.learning + number, .count(1_000_000 * factor), evaluator.table))
        if !event.isEmpty { found.append("\(event.map(\.type.rawValue)) \(number < 288)") }
      }
      #expect(found == [#"["alarm-cleared"] true"#])
    }
  }

  @Test func `adds up windows and says the confidence level`() {
    var evaluator = Evaluator([Self.profile("HIGH", "aws:all-bytes-out", #","durationSeconds":3600"#)])
    var found: [ViolationEvent] = []
    for number in 0..<Self.learning + 48 {
      // Each single report is usual, but so many in one window aren't.
      let count: UInt64 = number < Self.learning + 12 ? 10_000 : 60_000
      found += evaluator.evaluate(Self.observation(number, .count(count), evaluator.table))
    }
    #expect(found.map(\.metricValue) == [.count(720_000)])
    #expect(
      found.allSatisfy {
        text($0.json).contains(#""violationEventAdditionalInfo":{"confidenceLevel":"HIGH"}"#)
      })
  }

  @Test func `continues from a saved state at any point`() throws {
    var random = SeededGenerator(seed: 11)
    for level in ["LOW", "HIGH"] {
      let profiles = [Self.profile(level), Self.profile(level, "mine")]
      var whole = Evaluator(profiles)
      var cut = Evaluator(profiles)
      var alarms = 0
      var isSame = true
      for number in 0..<2 * Self.learning + 2_000 {
        let isOdd = number > 2 * Self.learning && number % 97 < 2
        let odd =
          isOdd
          ? [0, -1, 1.5, 1e308, -.greatestFiniteMagnitude, .infinity, .nan].randomElement(using: &random)
          : nil
        let exponent = UInt64.random(in: 0...(isOdd ? 63 : 3), using: &random)
        let datapoint = number % 2 == 0 ? Datapoint.count(UInt64(1) << exponent) : .number(odd ?? 1)
        let observation = Self.observation(number, datapoint, whole.table)
        let events = whole.evaluate(observation)
        isSame = cut.evaluate(observation) == events && isSame
        alarms += events.count { $0.type == .inAlarm }
        if number % 501 == 500 {
          let state = try DetectionState(parsingJSON: cut.state.json)
          #expect(try state == cut.state && DetectionState(parsingCBOR: cut.state.cbor) == state)
          cut = Evaluator(profiles, state: state)
        }
      }
      #expect(isSame)
      #expect(cut.state == whole.state && alarms > 5)
    }
  }

  @Test func `a state without the baseline or with another model keeps the alarm and learns again`() throws {
    let profiles = [Self.profile("HIGH")]
    var (evaluator, _) = Self.learned(Self.profile("HIGH")) { _ in .count(1_000_000) }
    #expect(Self.events(&evaluator, [.count(1_000_000_000)]) == ["in-alarm"])
    let saved = text(evaluator.state.json)
    let place = try #require(saved.range(of: #","baseline":{"#))
    let older = String(saved[..<place.lowerBound]) + "}]}]}"
    let newer = saved[..<place.upperBound] + #""model":2,"state":[]}}]}]}"#
    for text in [older, String(newer)] {
      let state = try DetectionState(parsingJSON: Array(text.utf8))
      var continued = Evaluator(profiles, state: state)
      #expect(continued.activeAlarms == 1 && continued.baselines == (1, 1))
      let next = Self.observation(Self.learning + 1, .count(1_000_000), continued.table)
      #expect(continued.evaluate(next).map(\.type) == [.alarmCleared])
    }
    var changed = Evaluator([Self.profile("LOW")], state: evaluator.state)
    let next = Self.observation(Self.learning + 1, .count(1_000_000), changed.table)
    #expect(changed.evaluate(next).map(\.type) == [.alarmInvalidated] && changed.baselines == (1, 1))
  }

  @Test func `times that alternate across the end of an hour are of one hour`() {
    var baseline = LearnedBaseline()
    func learn(_ hour: UInt64) -> Int {
      let isUnusual = baseline.isUnusual(256, at: hour * 3_600_000, margin: 88, hasLowerLimit: false)
      #expect(!isUnusual)
      return Int(baseline.bytes[54]) << 8 | Int(baseline.bytes[55])
    }
    // The ends of the hours 239 and 240 modulo 240, too.
    for hour in [240, 479] as [UInt64] {
      let hours = learn(hour)
      for _ in 0..<500 { #expect(learn(hour + 1) == hours + 1 && learn(hour) == hours + 1) }
      // A day back is still the current hour; more than a day back is another one.
      #expect(learn(hour - 23) == hours + 1 && learn(hour - 24) == hours + 2)
    }
    #expect(baseline.isLearning)
  }

  @Test func `the largest excess is forgotten like every other`() {
    var baseline = LearnedBaseline()
    func learn(_ position: Int, _ hour: UInt64) {
      let isUnusual = baseline.isUnusual(position, at: hour * 3_600_000, margin: 88, hasLowerLimit: true)
      #expect(!isUnusual)
    }
    for hour in 0..<24 as Range<UInt64> { learn(-16_128, hour) }
    learn(16_128, 24)
    #expect(baseline.bytes[56..<58] == [0x7E, 0x00])
    learn(0, 25)
    // 32,256 - 32.
    #expect(baseline.bytes[56..<58] == [0x7D, 0xE0] && LearnedBaseline(baseline.bytes) == baseline)
  }

  @Test(arguments: [
    (0, 0x7F), (48, 1), (53, 240), (56, 0x80), (58, 0x80),
    // Excesses above the largest one, which is 0x7E00.
    (56, 0x7F), (58, 0x7F), (60, 0x7F), (62, 0x7F),
  ])
  func `rejects a saved baseline that can't be`(place: Int, byte: UInt8) {
    var bytes = LearnedBaseline().bytes
    bytes[place] = byte
    #expect(LearnedBaseline(bytes) == nil)
    let state =
      #"{"version":1,"things":[{"thing":"t","behaviors":[{"profile":"p","behavior":"b","metric":"m","fingerprint":1,"#
      + #""violating":0,"conforming":0,"last_metric":0,"baseline":{"model":1,"state":"\#(base64(bytes))"}}]}]}"#
    #expect(throws: DetectionStateError.member("things[0].behaviors[0].baseline")) {
      try DetectionState(parsingJSON: Array(state.utf8))
    }
    #expect(LearnedBaseline(Array(bytes.dropLast())) == nil)
  }
}

extension String {
  /// Returns the range of the first occurrence of `text`.
  fileprivate func range(of text: String) -> Range<String.Index>? {
    indices.first { self[$0...].hasPrefix(text) }.map { $0..<index($0, offsetBy: text.count) }
  }
}
