/// The buckets into which a report divides time.
///
/// Each width is a multiple of the one before. If the recording becomes longer than ``maximumBuckets``, the next width applies
/// and neighbors are merged, so that memory doesn't grow with the length of the input.
package struct TimeAxis: Equatable, Sendable {
  /// A day of five-minute reports has at most 289 buckets.
  static let maximumBuckets = 300
  private static let widths: [UInt64] = [60, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400]

  /// The width of a bucket in seconds.
  package private(set) var width: UInt64 = 60
  /// The numbers of the buckets; bucket `n` begins `n * width` seconds after the epoch.
  package private(set) var buckets: Range<Int> = 0..<0

  /// The last time that reports of a device whose clock is right can have, in seconds since the epoch.
  let latestPlausibleTime: UInt64

  package init(until latestPlausibleTime: UInt64 = .max) { self.latestPlausibleTime = latestPlausibleTime }

  /// Returns whether the clock of a device can have been right at `time`. An axis must not include other times, because one of them
  /// would stretch it over decades.
  func isPlausible(_ time: UInt64) -> Bool {
    time >= FleetHistory.firstPlausibleTime && time <= latestPlausibleTime
  }

  /// Extends the axis to a time in seconds since the epoch. Returns how many of the former buckets make up one of the new ones.
  mutating func include(_ time: UInt64) -> Int {
    let bucket = Int(time / width)
    guard !buckets.isEmpty else {
      buckets = bucket..<(bucket + 1)
      return 1
    }
    let former = width
    buckets = min(buckets.lowerBound, bucket)..<max(buckets.upperBound, bucket + 1)
    while buckets.count > Self.maximumBuckets {
      let next = Self.widths.first { $0 > width } ?? width * 2
      let factor = Int(next / width)
      buckets = (buckets.lowerBound / factor)..<((buckets.upperBound - 1) / factor + 1)
      width = next
    }
    return Int(width / former)
  }

  /// Returns the bucket of a time, or the nearest one.
  func bucket(at time: UInt64) -> Int {
    guard let last = buckets.last else { return 0 }
    return min(max(Int(time / width), buckets.lowerBound), last)
  }

  /// The first second of the axis.
  var start: UInt64 { UInt64(buckets.lowerBound) * width }
  /// The first second after the axis.
  var end: UInt64 { UInt64(buckets.upperBound) * width }
}

/// A set of buckets, one bit each.
struct BucketSet: Equatable, Sendable {
  private var firstWord = 0
  private var words: [UInt64] = []

  var isEmpty: Bool { words.isEmpty }

  mutating func insert(_ bucket: Int) {
    let word = bucket >> 6
    if words.isEmpty { firstWord = word }
    if word < firstWord {
      words.insert(contentsOf: repeatElement(0, count: firstWord - word), at: 0)
      firstWord = word
    }
    while words.count <= word - firstWord { words.append(0) }
    words[word - firstWord] |= UInt64(1) << UInt64(bucket & 63)
  }

  mutating func insert(_ range: ClosedRange<Int>) {
    for bucket in range { insert(bucket) }
  }

  func contains(_ bucket: Int) -> Bool {
    let word = (bucket >> 6) - firstWord
    return words.indices.contains(word) && words[word] & UInt64(1) << UInt64(bucket & 63) != 0
  }

  /// The runs of consecutive buckets, ascending.
  var runs: [Range<Int>] {
    var runs: [Range<Int>] = []
    for bucket in (firstWord << 6)..<((firstWord + words.count) << 6) where contains(bucket) {
      if let last = runs.last, last.upperBound == bucket {
        runs[runs.count - 1] = last.lowerBound..<(bucket + 1)
      } else {
        runs.append(bucket..<(bucket + 1))
      }
    }
    return runs
  }

  /// Replaces each group of `factor` buckets by one.
  mutating func merge(by factor: Int) {
    let former = runs
    self = BucketSet()
    for run in former { insert((run.lowerBound / factor)...((run.upperBound - 1) / factor)) }
  }
}

/// The largest or the smallest value in each bucket.
struct BucketValues: Equatable, Sendable {
  private var first = 0
  /// `Float` is precise enough for a picture; not a number means that the bucket has no value.
  private var values: [Float] = []

  mutating func insert(_ value: Float, _ bucket: Int, keepsSmallest: Bool) {
    if values.isEmpty { first = bucket }
    if bucket < first {
      values.insert(contentsOf: repeatElement(.nan, count: first - bucket), at: 0)
      first = bucket
    }
    while values.count <= bucket - first { values.append(.nan) }
    let former = values[bucket - first]
    if former.isNaN || (keepsSmallest ? value < former : value > former) { values[bucket - first] = value }
  }

  subscript(bucket: Int) -> Float? {
    guard values.indices.contains(bucket - first), !values[bucket - first].isNaN else { return nil }
    return values[bucket - first]
  }

  /// Replaces each group of `factor` buckets by one.
  mutating func merge(by factor: Int, keepsSmallest: Bool) {
    let former = self
    self = BucketValues()
    for bucket in former.first..<(former.first + former.values.count) {
      if let value = former[bucket] { insert(value, bucket / factor, keepsSmallest: keepsSmallest) }
    }
  }
}
