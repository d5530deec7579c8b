@testable import Detection
import DeviceDefender
import Testing
import WireFormats

/// Tests of statistical thresholds. Tests/Conformance/detect compares generated fleets with a second evaluator.
struct StatisticalTests {
  private let profiles = [
    profile(
      #"""
      [{"name":"b","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals",
        "statisticalThreshold":{"statistic":"p50"},"durationSeconds":300}},
       {"name":"n","metric":"load","criteria":{"comparisonOperator":"greater-than-equals",
        "statisticalThreshold":{"statistic":"p10"},"durationSeconds":600}}]
      """#)
  ]

  /// Evaluates reports of the form (thing, window of 300 s, bytes, load), and saves and loads the state after each.
  private func events(_ rows: [(thing: String, window: UInt64, bytes: UInt64?, load: Double?)]) throws
    -> [String]
  {
    var evaluator = Evaluator(profiles)
    var whole = evaluator
    var found: [String] = []
    var expected: [String] = []
    for (id, row) in rows.enumerated() {
      var observation = Observation(
        thing: row.thing, reportID: UInt64(id) + 1, time: row.window * 300_000 + UInt64(id),
        table: evaluator.table)
      if let bytes = row.bytes { observation.set(.bytesOut, .count(bytes)) }
      if let load = row.load, let slot = evaluator.table.slot(ofCustom: "load") {
        observation.datapoints[slot] = .number(load)
      }
      found += evaluator.evaluate(observation).map { "\($0.thing) \(summary($0))" }
      expected += whole.evaluate(observation).map { "\($0.thing) \(summary($0))" }
      let state =
        id % 2 == 0
        ? try DetectionState(parsingJSON: evaluator.state.json)
        : try DetectionState(parsingCBOR: evaluator.state.cbor)
      #expect(state == whole.state)
      evaluator = Evaluator(profiles, state: state)
    }
    #expect(found == expected)
    return found
  }

  @Test func `judges a window when all things have passed it`() throws {
    let found = try events([
      ("a", 10, 1, nil), ("b", 10, 5, nil), ("c", 10, .max, nil), ("b", 10, 4, nil), ("a", 11, nil, nil),
      ("b", 11, nil, nil),
      ("c", 11, nil, nil),
    ])
    // The sums are 1, 9 and the largest number: b's is the median. An event's count is at most AWS's largest number.
    #expect(found == [#"c 3300 in-alarm b {"count":9223372036854775807}"#])
  }

  @Test func `judges a window with the first report of the window after next`() throws {
    #expect(try events([("a", 10, 1, nil), ("b", 10, 2, nil), ("b", 11, 2, nil)]) == [])
    #expect(
      try events([("a", 10, 1, nil), ("b", 10, 2, nil), ("b", 12, 2, nil)]) == [
        #"b 3600 in-alarm b {"count":2}"#
      ])
    // Years later.
    #expect(
      try events([("a", 10, 1, nil), ("b", 10, 2, nil), ("b", 300_000_000, nil, nil)]).first
        == #"b 90000000000 in-alarm b {"count":2}"#)
  }

  @Test func `doesn't wait for a thing that was silent in the window before`() throws {
    let found = try events([
      ("a", 10, 1, nil), ("b", 10, 1, nil), ("gone", 10, 1, nil), ("a", 11, 1, nil), ("b", 11, 1, nil),
      ("a", 12, 1, nil),
      ("b", 12, 2, nil), ("a", 13, 1, nil), ("b", 13, 1, nil),
    ])
    #expect(found == [#"b 3900 in-alarm b {"count":2}"#])
  }

  @Test func `a number is the last one of its window, and a negative one is ignored`() throws {
    let found = try events([
      ("a", 10, nil, 9), ("a", 11, nil, 0.5), ("b", 11, nil, 3), ("c", 11, nil, -0.0), ("d", 11, nil, 7),
      ("d", 11, nil, -1),
      ("a", 14, nil, nil),
    ])
    #expect(found == [])
    var evaluator = Evaluator(profiles)
    #expect(evaluator.fleet?.values.count == 2)
    // Two open windows of each thing, whatever happened before.
    for id in 1...500 as ClosedRange<UInt64> {
      var observation = Observation(
        thing: "t\(id % 5)", reportID: id, time: id * 60_000, table: evaluator.table)
      observation.set(.bytesOut, .count(id % 7))
      _ = evaluator.evaluate(observation)
      #expect(evaluator.fleet?.values.allSatisfy { $0.oldest.count <= 5 && $0.next.count <= 5 } == true)
    }
    #expect(evaluator.lateReports == 0)
  }

  @Test func `a report of a window that was judged is late`() {
    var evaluator = Evaluator(profiles)
    func late(_ thing: String, _ id: UInt64, _ window: UInt64) -> Int {
      var observation = Observation(
        thing: thing, reportID: id, time: window * 300_000, table: evaluator.table)
      observation.set(.bytesOut, .count(1))
      _ = evaluator.evaluate(observation)
      return evaluator.lateReports
    }
    #expect(late("a", 1, 10) == 0 && late("a", 2, 11) == 0 && late("b", 1, 10) == 1 && late("b", 2, 11) == 1)
    // The window hasn't been evaluated yet, but the thing has sent a report of a later one.
    #expect(late("b", 3, 12) == 1 && late("b", 4, 11) == 2)
  }

  @Test(.timeLimit(.minutes(5)))
  func `skips the windows between now and a thing that is far ahead in a saved state`() throws {
    let state =
      #"{"version":1,"things":[{"thing":"a","behaviors":[]}],"fleet":{"times":[253402300799999],"#
      + #""windows":[{"length":300000,"oldest":10},{"length":600000,"oldest":5}],"behaviors":[]}}"#
    var evaluator = Evaluator(profiles, state: try DetectionState(parsingJSON: Array(state.utf8)))
    var observation = Observation(thing: "a", reportID: 1, time: 10 * 300_000, table: evaluator.table)
    observation.set(.bytesOut, .count(1))
    #expect(evaluator.evaluate(observation) == [] && evaluator.lateReports == 1)
    #expect(evaluator.fleet?.clocks.map(\.oldest) == [844_674_335, 422_337_167])
  }

  @Test func `a device doesn't evaluate statistical thresholds`() {
    var evaluator = Evaluator(profiles, windowsEnd: .clock)
    var observation = Observation(thing: "a", reportID: 1, time: 1, table: evaluator.table)
    observation.set(.bytesOut, .count(1))
    #expect(evaluator.evaluate(observation) == [] && evaluator.advance(to: 900_000, thing: "a") == [])
    #expect(evaluator.fleet == nil && evaluator.state.fleet == nil && evaluator.lateReports == 0)
  }

  @Test(arguments: [
    ("p0", 1), ("p0.01", 1), ("p0.1", 1), ("p1", 10), ("p10", 100), ("p50", 500), ("p90", 900), ("p99", 990),
    ("p99.9", 999),
    ("p99.99", 1_000), ("p100", 1_000),
  ])
  func `a percentile is the nearest rank`(row: (statistic: String, rank: Int)) {
    #expect(Percentile(row.statistic)?.value(of: Array(1...1_000)) == row.rank)
    #expect(
      Percentile(row.statistic)?.value(of: [7]) == 7 && Percentile(row.statistic)?.value(of: [Int]()) == nil)
  }

  @Test(arguments: ["", "p", "50", "p101", "p100.1", "p1.", "p.1", "p-1", "p1.12345", "p1.2.3"])
  func `rejects a statistic`(text: String) { #expect(Percentile(text) == nil) }

  @Test(arguments: [
    (#"{}"#, "fleet.times"), (#"{"times":[]}"#, "fleet.times"), (#"{"times":[-1]}"#, "fleet.times"),
    (#"{"times":[18446744073709551615]}"#, "fleet.times"), (#"{"times":[1]}"#, "fleet.windows"),
    (#"{"times":[253402300800000],"windows":[],"behaviors":[]}"#, "fleet.times"),
    (#"{"times":[1],"windows":[{"length":1}]}"#, "fleet.oldest"),
    (#"{"times":[1],"windows":[{"length":1,"oldest":18446744073709551615}]}"#, "fleet.oldest"),
    (#"{"times":[1],"windows":[]}"#, "fleet.behaviors"),
    (#"{"times":[1],"windows":[],"behaviors":[{}]}"#, "fleet.profile"),
    (
      #"{"times":[1],"windows":[],"behaviors":[{"profile":"p","behavior":"b","metric":"m","fingerprint":1,"values":[{"thing":1,"next":true,"value":1}]}]}"#,
      "fleet.thing"
    ),
    (
      #"{"times":[1],"windows":[],"behaviors":[{"profile":"p","behavior":"b","metric":"m","fingerprint":1,"values":[{"thing":0,"next":true,"value":18446744073709551615}]}]}"#,
      "fleet.value"
    ),
  ])
  func `rejects a damaged state`(row: (fleet: String, member: String)) {
    let json = #"{"version":1,"things":[{"thing":"a","behaviors":[]}],"fleet":\#(row.fleet)}"#
    #expect(throws: DetectionStateError.member(row.member)) {
      try DetectionState(parsingJSON: Array(json.utf8))
    }
  }
}
