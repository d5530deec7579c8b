import Testing

@testable import DetectionReport

struct TimeAxisTests {
  private let start: UInt64 = 1_795_478_400

  @Test func `widens its buckets instead of growing`() {
    var axis = TimeAxis()
    #expect(axis.include(start) == 1 && axis.width == 60)
    #expect(axis.include(start + 3_600) == 1 && axis.width == 60)
    #expect(axis.include(start + 86_399) == 5 && axis.width == 300 && axis.buckets.count == 288)
    #expect(axis.include(start - 60) == 1 && axis.buckets.count == 289)
    #expect(axis.include(start + 10 * 86_400) == 12 && axis.width == 3_600)
    // The last second of 9999.
    _ = axis.include(253_402_300_799)
    #expect(axis.buckets.count <= TimeAxis.maximumBuckets)
    #expect(axis.end > 253_402_300_799 && axis.start <= start)
  }

  @Test func `the order of the times doesn't matter`() {
    let times = (0..<500).map { start + $0 * 977 }
    var forward = TimeAxis()
    var backward = TimeAxis()
    for time in times { _ = forward.include(time) }
    for time in times.reversed() { _ = backward.include(time) }
    #expect(forward.width == backward.width && forward.buckets == backward.buckets)
  }

  @Test func `a set of buckets has the runs of what was inserted, also after a merge`() {
    var set = BucketSet()
    for bucket in [200, 3, 4, 5, 63, 64, 201, 3] { set.insert(bucket) }
    #expect(set.runs == [3..<6, 63..<65, 200..<202])
    #expect(set.contains(4) && !set.contains(6) && !set.contains(1_000) && !set.contains(0))
    set.merge(by: 5)
    #expect(set.runs == [0..<2, 12..<13, 40..<41])
    #expect(BucketSet().runs.isEmpty)
  }

  @Test func `values keep the largest or the smallest of a bucket, also after a merge`() {
    for keepsSmallest in [false, true] {
      var values = BucketValues()
      for (bucket, value) in [(12, 5), (10, 3), (10, 4), (14, 1)] as [(Int, Float)] {
        values.insert(value, bucket, keepsSmallest: keepsSmallest)
      }
      #expect((9...15).map { values[$0] } == [nil, keepsSmallest ? 3 : 4, nil, 5, nil, 1, nil])
      values.merge(by: 5, keepsSmallest: keepsSmallest)
      #expect((1...3).map { values[$0] } == [nil, keepsSmallest ? 1 : 5, nil])
    }
  }

  @Test func `a table has at most 25 rows that cover all buckets once`() {
    for span in [0, 59, 3_600, 86_399, 86_400 * 3, 86_400 * 100, 86_400 * 4_000] as [UInt64] {
      var axis = TimeAxis()
      _ = axis.include(start + 7)
      _ = axis.include(start + 7 + span)
      let scale = TimeScale(axis: axis)
      let rows = scale.rows
      #expect((1...25).contains(rows.count), "\(span): \(rows.count) rows")
      #expect(rows.flatMap(\.buckets) == Array(axis.buckets))
      #expect(scale.ticks.count <= 8 && scale.ticks.allSatisfy { (0...100).contains($0.position) })
    }
  }
}
