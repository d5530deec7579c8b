@testable import Detection
import DeviceDefender
import Testing
import TestSupport
import WireFormats

/// Tests of the histograms from which a fleet's percentiles come.
struct `A sketch` {
  @Test func `puts values that differ by more than two percent into different buckets, in their order`() {
    var random = SeededRandom(seed: 11)
    var smallest: [Int: Double] = [:]
    for _ in 0..<20_000 {
      let exponent = Double.random(in: -39..<63.9, using: &random)
      var number = 1.0
      for _ in 0..<Int(exponent.magnitude) { number *= exponent < 0 ? 0.5 : 2 }
      number *= 1 + exponent.magnitude.truncatingRemainder(dividingBy: 1)
      let bucket = PercentileSketch.bucket(of: number)
      #expect(PercentileSketch.buckets.contains(bucket))
      // The limits of a bucket differ by less than 2.02 %, so its mean differs from each by less than 1.01 %.
      #expect(PercentileSketch.bucket(of: number * 1.0202) > bucket)
      #expect(PercentileSketch.bucket(of: number.nextUp) >= bucket)
      if let other = smallest[bucket] { #expect(max(other, number) / min(other, number) < 1.0202) }
      smallest[bucket] = min(number, smallest[bucket] ?? number)
      if number >= 1 {
        let count = UInt64(number)
        #expect(PercentileSketch.bucket(of: count) == PercentileSketch.bucket(of: Double(count)))
      }
    }
  }

  @Test func `has a bucket for each small count, for zero and for the largest values`() {
    let small = (UInt64(0)...50).map { PercentileSketch.bucket(of: $0) }
    #expect(Set(small).count == 51 && small == small.sorted())
    #expect(PercentileSketch.bucket(of: 0.0) == small[0] && small[0] == PercentileSketch.buckets.lowerBound)
    #expect(PercentileSketch.bucket(of: Double.leastNonzeroMagnitude) == PercentileSketch.bucket(of: 1e-13))
    #expect(PercentileSketch.bucket(of: 1e-13) > small[0])
    #expect(PercentileSketch.bucket(of: .max as UInt64) == PercentileSketch.buckets.upperBound)
    #expect(
      PercentileSketch.bucket(of: Double.greatestFiniteMagnitude) == PercentileSketch.buckets.upperBound)
    #expect(PercentileSketch.bucket(of: Double.infinity) == PercentileSketch.buckets.upperBound)
  }

  @Test(arguments: ["p0", "p0.1", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100"])
  func `gives the bucket of the exact percentile, however it was merged`(statistic: String) throws {
    let percentile = try #require(Percentile(statistic))
    var random = SeededRandom(seed: 5)
    for size in [1, 2, 3, 10, 999, 1_000, 1_001] {
      let values = (0..<size).map { _ in
        UInt64.random(in: 0...(1 << 40), using: &random) >> UInt64.random(in: 0...40, using: &random)
      }
      var parts = Array(repeating: PercentileSketch(), count: 3)
      for (index, value) in values.enumerated() { parts[index % 3].add(PercentileSketch.bucket(of: value)) }
      var (forth, back) = (PercentileSketch(), PercentileSketch())
      for part in parts { forth.merge(part) }
      for part in parts.reversed() { back.merge(part) }
      #expect(forth == back)
      let exact = try #require(percentile.value(of: values.sorted()))
      #expect(forth.bucket(at: percentile) == PercentileSketch.bucket(of: exact))
    }
    #expect(PercentileSketch().bucket(at: percentile) == nil)
  }

  @Test func `drops what can't be a count, and doesn't overflow`() throws {
    var sketch = PercentileSketch(counts: [5: .max, 6: 0, 100_000: 1, -100_000: 1])
    #expect(sketch.counts == [5: .max])
    sketch.add(5)
    sketch.add(7, count: 9)
    #expect(sketch.counts == [5: .max, 7: 9])
    #expect(sketch.bucket(at: try #require(Percentile("p100"))) != nil)
  }
}

/// Tests of statistical thresholds whose percentiles come from sketches.
struct `A shared percentile` {
  private let profiles = [
    profile(
      #"""
      [{"name":"b","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals",
        "statisticalThreshold":{"statistic":"p50"},"durationSeconds":300}},
       {"name":"n","metric":"load","criteria":{"comparisonOperator":"greater-than-equals",
        "statisticalThreshold":{"statistic":"p10"},"durationSeconds":600}}]
      """#)
  ]

  private typealias Row = (window: UInt64, bytes: UInt64?, load: Double?)

  /// Evaluates reports of one thing, and saves and loads the state after each. The other things have the values 1, 2 and 3 in every
  /// window. Returns the events and the number of windows whose value is final.
  private func evaluate(_ rows: [Row], others: [UInt64] = [1, 2, 3]) throws -> (events: [String], final: Int)
  {
    var state = DetectionState()
    var found: [String] = []
    var final = 0
    for (id, row) in rows.enumerated() {
      var evaluator = Evaluator(profiles, state: state, population: .sketches)
      var observation = Observation(
        thing: "a", reportID: UInt64(id) + 1, time: row.window * 300_000 + UInt64(id), table: evaluator.table)
      if let bytes = row.bytes { observation.set(.bytesOut, .count(bytes)) }
      if let load = row.load, let slot = evaluator.table.slot(ofCustom: "load") {
        observation.datapoints[slot] = .number(load)
      }
      for key in evaluator.sketchKeys(for: [observation]) {
        var sketch = PercentileSketch()
        for value in others { sketch.add(PercentileSketch.bucket(of: value)) }
        evaluator.sketches[key] = sketch
      }
      found += evaluator.evaluate(observation).map { summary($0) }
      final += evaluator.contributions.count
      state =
        id % 2 == 0
        ? try DetectionState(parsingJSON: evaluator.state.json)
        : try DetectionState(parsingCBOR: evaluator.state.cbor)
      #expect(state == evaluator.state)
    }
    return (found, final)
  }

  @Test func `is compared with the sum of a window two windows later`() throws {
    let rows: [Row] = [(10, 2, nil), (10, 3, nil), (11, 1, nil)]
    #expect(try evaluate(rows) == ([], 1))
    // The sum 5 exceeds the median 2; then 1 doesn't.
    let whole = rows + [(12, 1, nil), (13, 1, nil)]
    #expect(
      try evaluate(whole) == ([#"3600 in-alarm b {"count":5}"#, #"3900 alarm-cleared b {"count":1}"#], 3))
  }

  @Test func `is compared with both windows after a gap, and with none that has no values`() throws {
    let rows: [Row] = [(10, 9, nil), (11, 1, nil), (20, 1, nil)]
    #expect(
      try evaluate(rows) == ([#"6000 in-alarm b {"count":9}"#, #"6000 alarm-cleared b {"count":1}"#], 2))
    #expect(try evaluate(rows, others: []) == ([], 2))
  }

  @Test func `counts its own value also if it becomes final with the comparison`() throws {
    // Among 1, 1 and the own 9, the median is 1; among 1 and 9, p50 is 1; with 9, 9 and the own 1 it is 9.
    #expect(
      try evaluate([(10, 9, nil), (20, 1, nil)], others: [1]).events == [#"6000 in-alarm b {"count":9}"#])
    #expect(try evaluate([(10, 9, nil), (20, 1, nil)], others: [9, 1]).events == [])
  }

  @Test func `ignores late reports and negative numbers, and continues after a clock was set back`() throws {
    let late: [Row] = [(10, 1, nil), (11, 1, nil), (10, 100, nil), (12, 1, nil), (13, 1, nil)]
    #expect(try evaluate(late) == ([], 3))
    let negative: [Row] = [(10, nil, 0.5), (10, nil, -1), (12, nil, 5), (14, nil, 5), (16, nil, 5)]
    #expect(try evaluate(negative) == ([], 2))
    let back: [Row] = [(1_000, 9, nil), (10, 9, nil), (11, 1, nil), (12, 1, nil)]
    #expect(try evaluate(back).events == [#"3600 in-alarm b {"count":9}"#])
  }

  @Test func `treats values of one bucket as equal`() throws {
    // 1,000 and 1,003 are in one bucket, so neither exceeds the other.
    #expect(PercentileSketch.bucket(of: UInt64(1_000)) == PercentileSketch.bucket(of: UInt64(1_003)))
    let rows: [Row] = [(10, 1_003, nil), (11, 1_050, nil), (12, 1, nil), (13, 1, nil)]
    #expect(
      try evaluate(rows, others: [1_000, 1_000, 1_000]).events == [#"3900 in-alarm b {"count":1050}"#])
  }

  @Test func `has no values of a behavior that changed`() throws {
    var evaluator = Evaluator(profiles, population: .sketches)
    var observation = Observation(thing: "a", reportID: 1, time: 3_000_000, table: evaluator.table)
    observation.set(.bytesOut, .count(1))
    _ = evaluator.evaluate(observation)
    observation.reportID = 2
    observation.time = 3_600_000
    let changed = profile(
      #"""
      [{"name":"b","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals",
        "statisticalThreshold":{"statistic":"p90"},"durationSeconds":300}}]
      """#)
    #expect(evaluator.sketchKeys(for: [observation]).map(\.window) == [10])
    let next = Evaluator([changed], state: evaluator.state, population: .sketches)
    #expect(next.sketchKeys(for: [observation]).isEmpty)
  }
}
