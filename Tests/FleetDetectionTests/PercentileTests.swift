import Detection
import FleetDetection
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of statistical thresholds in a fleet, whose values are in sketches in the store.
struct `Percentiles of a fleet` {
  private static let profile = #"""
    {"securityProfileName":"p","behaviors":[
    {"name":"high","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals",
     "statisticalThreshold":{"statistic":"p90"},"durationSeconds":300,"consecutiveDatapointsToAlarm":2}},
    {"name":"low","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"greater-than",
     "statisticalThreshold":{"statistic":"p10"},"durationSeconds":300}}]}
    """#
  /// The first window of 300 s.
  private static let first = 1_700_000_400 / 300

  private let fleet = FleetFixture([profile])

  /// Returns the body of a report in a window.
  private func report(_ thing: String, _ window: Int, _ bytes: Int, at second: Int = 0) -> String {
    let seconds = (Self.first + window) * 300 + second
    return """
      {"header":{"report_id":\(seconds),"version":"1.0"},"metrics":{"network_stats":{"bytes_in":0,"bytes_out":\(bytes),
      "packets_in":0,"packets_out":0}},"thing":"\(thing)","timestamp":\(seconds * 1_000)}
      """
  }

  /// Moves the clock to the end of a window.
  private func advance(toEndOf window: Int) {
    let end = WallTime(secondsSinceEpoch: Int64((Self.first + window + 1) * 300))
    fleet.time.advance(by: fleet.time.wallTime.duration(to: end))
  }

  private func summary(_ event: HistoryEvent) throws -> String {
    let json = try JSONValue(parsing: event.json)
    let value: Int = json["metricValue"]?["count"]?.integer() ?? -1
    return "\(event.thing) \(json["behavior"]?["name"]?.string ?? "") \(event.type) \(value)"
  }

  @Test(arguments: [UInt64(1), 2, 3])
  func `raise the same alarms as an evaluator that gets all reports`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let (things, windows) = (30, 12)
    let validation = ProfileValidation(of: Array(Self.profile.utf8), name: "p")
    var whole = Evaluator([try #require(validation.profile)])
    var expected: [String] = []
    // Processes with their own memory of sketches.
    let detectors = (0..<3).map { _ in fleet.detector() }
    for window in 0..<windows {
      var reports: [(thing: String, bytes: Int)] = []
      for thing in 0..<things {
        // At most 50, so that each value has its own bucket.
        for _ in 0..<Int.random(in: 1...2, using: &random) {
          reports.append(("thing-\(thing)", Int.random(in: 0...25, using: &random)))
        }
      }
      reports.shuffle(using: &random)
      let bodies = reports.enumerated().map { report($1.thing, window, $1.bytes, at: $0) }
      advance(toEndOf: window)
      for (number, start) in stride(from: 0, to: bodies.count, by: 7).enumerated() {
        let outcome = try fleet.process(
          Array(bodies[start..<min(start + 7, bodies.count)]), detectors[number % 3])
        #expect(outcome.failures.isEmpty)
      }
      // A window is compared one window later than by the evaluator, which knows when all things have reported.
      guard window < windows - 1 else { continue }
      for (second, row) in reports.enumerated() {
        let seconds = UInt64((Self.first + window) * 300 + second)
        var observation = Observation(
          thing: row.thing, reportID: seconds, time: seconds * 1_000, table: whole.table)
        observation.set(.bytesOut, .count(UInt64(row.bytes)))
        for event in whole.evaluate(observation) {
          let found = try #require(HistoryEvent(event.json))
          expected.append(try summary(found))
        }
      }
    }
    #expect(expected.count > 40)
    #expect(try fleet.delivery.events.map(summary).sorted() == expected.sorted())
  }

  @Test func `aren't compared with a device whose clock is ahead`() throws {
    let detector = fleet.detector()
    advance(toEndOf: 0)
    try fleet.process((0..<9).map { report("thing-\($0)", 0, 5) } + [report("ahead", 0, 40)], detector)
    // The window isn't complete, and its sketch would have one value.
    try fleet.process([report("ahead", 7, 40), report("ahead", 14, 40), report("ahead", 21, 40)], detector)
    #expect(fleet.delivery.types == [])
    advance(toEndOf: 1)
    try fleet.process((0..<9).map { report("thing-\($0)", 1, 5) }, detector)
    advance(toEndOf: 2)
    try fleet.process([report("thing-0", 2, 5)], detector)
    // `low`: 5 isn't greater than p10, which is 5 among nine values of 5 and one of 40.
    #expect(fleet.delivery.types == ["in-alarm"])
  }

  @Test func `lack values that can't be added, and the batch succeeds`() throws {
    let store = ContendedStore(fleet.store)
    store.failsToAdd = true
    let detector = fleet.detector(store)
    for window in 0..<4 {
      advance(toEndOf: window)
      let outcome = try fleet.process([report("a", window, window * 10)], detector)
      #expect(outcome.failures.isEmpty)
    }
    #expect(fleet.delivery.types == [])
    #expect(
      fleet.log.lines.contains {
        $0.contains("missing in the percentiles of the fleet. UpdateItem on the table")
      })
  }

  @Test func `count a value once if the answer to its write is lost or other processes write`() throws {
    let store = ContendedStore(fleet.store)
    let detector = fleet.detector(store)
    advance(toEndOf: 0)
    try fleet.process([report("a", 0, 7), report("b", 0, 7)], detector)
    store.losesAnswers = true
    advance(toEndOf: 1)
    try fleet.process([report("a", 1, 7), report("b", 1, 7)], detector)
    let counts = fleet.store.sketches.filter { $0.key.window == UInt64(Self.first) }.map {
      $0.value.counts.values.reduce(0, +)
    }
    #expect(counts == [2, 2])
  }

  @Test func `take few requests for a device that makes up windows`() throws {
    let store = ContendedStore(fleet.store)
    let detector = fleet.detector(store)
    advance(toEndOf: 5_000)
    let bodies = (0..<100).map { report("a", $0 * 40, 7) } + [report("b", 4_997, 7), report("b", 4_998, 7)]
    try fleet.process(bodies, detector)
    #expect(store.sketchReads == 2 * 8)
    // The value of the current window is counted nevertheless.
    let windows = Set(fleet.store.sketches.keys.map { Int($0.window) - Self.first })
    #expect(windows.count == 8 && windows.contains(4_997))
  }

  @Test func `stay in a file, and are removed an hour after their window is complete`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/state.json"
    func store() -> FileStore { FileStore(path, retention: .seconds(3 * 86_400), time: fleet.time) }
    for window in 0..<3 {
      advance(toEndOf: window)
      let bodies = (0..<10).map { report("thing-\($0)", window, window == 0 && $0 == 9 ? 1 : 9) }
      try fleet.process(bodies, fleet.detector(store()))
    }
    #expect(try fleet.delivery.events.map(summary) == ["thing-9 low in-alarm 1"])
    #expect(String(decoding: try readFile(path, limit: 1 << 20), as: UTF8.self).contains(#""counts":{"#))
    advance(toEndOf: 20)
    try store().append([], until: fleet.deadline)
    #expect(String(decoding: try readFile(path, limit: 1 << 20), as: UTF8.self).contains(#""sketches":[]"#))
  }
}
