/// The values of many things in one window as a histogram, whose percentiles have a relative error of at most 1 %.
///
/// Sketches of the same window merge by adding their counts, in any order. The limits of a bucket differ by a factor of 2^(7/256), about
/// 1.019, so each value differs from its bucket's geometric mean by less than 1 %. Buckets are computed with integers only, so they are
/// the same on every architecture.
package struct PercentileSketch: Equatable, Sendable {
  /// The bucket of a value; a larger value is never in a lower bucket.
  package typealias Bucket = Int

  /// Steps of 1/256 of the binary logarithm in one bucket.
  private static let step = 7
  /// The smallest exponent that buckets distinguish: smaller numbers count as 2^-40, about 1e-12.
  private static let smallestExponent = -40
  /// Zero, which has no logarithm; the bucket below that of 2^-40.
  private static let zero = floorQuotient(smallestExponent * LogarithmicScale.octave) - 1
  /// All buckets.
  package static let buckets = zero...floorQuotient(64 * LogarithmicScale.octave - 1)

  /// The number of values by bucket.
  package private(set) var counts: [Bucket: UInt64] = [:]

  package init() {}

  /// Creates a sketch with these counts. Buckets that don't exist are left out.
  package init(counts: [Bucket: UInt64]) {
    self.counts = counts.filter { Self.buckets.contains($0.key) && $0.value > 0 }
  }

  package var isEmpty: Bool { counts.isEmpty }

  /// Returns the bucket of a count.
  static func bucket(of count: UInt64) -> Bucket {
    count == 0 ? zero : floorQuotient(LogarithmicScale.logarithm(of: count))
  }

  /// Returns the bucket of a number that isn't negative. Numbers of 2^64 and more are in the last bucket.
  static func bucket(of number: Double) -> Bucket {
    if number < 0x1p-40 { return number > 0 ? zero + 1 : zero }
    return number >= 0x1p64 ? buckets.upperBound : floorQuotient(LogarithmicScale.logarithm(of: number))
  }

  package mutating func add(_ bucket: Bucket, count: UInt64 = 1) {
    let sum = counts[bucket, default: 0].addingReportingOverflow(count)
    counts[bucket] = sum.overflow ? .max : sum.partialValue
  }

  package mutating func merge(_ other: PercentileSketch) {
    for (bucket, count) in other.counts { add(bucket, count: count) }
  }

  /// Returns the bucket of a percentile, computed with the nearest-rank method; nil if there are no values.
  func bucket(at percentile: Percentile) -> Bucket? {
    var total: UInt64 = 0
    for count in counts.values {
      total = total.addingReportingOverflow(count).overflow ? .max : total + count
    }
    guard total > 0 else { return nil }
    var left = percentile.rank(among: total)
    for (bucket, count) in counts.sorted(by: { $0.key < $1.key }) {
      if left <= count { return bucket }
      left -= count
    }
    return counts.keys.max()
  }

  private static func floorQuotient(_ position: Int) -> Int {
    position >= 0 ? position / step : -((-position + step - 1) / step)
  }
}

/// Identifies the values of one behavior of all things in one window.
package struct SketchKey: Hashable, Sendable {
  package let profile: String
  package let behavior: String
  /// The behavior's fingerprint, so that a changed behavior begins with no values.
  package let fingerprint: UInt64
  /// The number of the window, and the length of a window in milliseconds.
  package let window: UInt64
  package let length: UInt64

  package init(profile: String, behavior: String, fingerprint: UInt64, window: UInt64, length: UInt64) {
    self.profile = profile
    self.behavior = behavior
    self.fingerprint = fingerprint
    self.window = window
    self.length = length
  }

  /// When the window after this one ends, in milliseconds. From then on, the window is complete.
  package var completion: UInt64 {
    let (end, overflow) = (window + 2).multipliedReportingOverflow(by: length)
    return overflow ? .max : end
  }
}
