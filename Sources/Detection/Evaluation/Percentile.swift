/// A percentile of a statistical threshold, computed with the nearest-rank method.
struct Percentile: Sendable {
  /// The part of the values that are at most as large, in millionths.
  private let millionths: UInt64

  /// Parses a statistic such as `p99.9`; nil for anything else.
  init?(_ statistic: String) {
    let parts = statistic.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
    guard statistic.first == "p", (1...2).contains(parts.count), let whole = UInt64(parts[0]), whole <= 100
    else { return nil }
    let digits = parts.count == 2 ? parts[1] : "0"
    guard (1...4).contains(digits.utf8.count), var fraction = UInt64(digits) else { return nil }
    for _ in digits.utf8.count..<4 { fraction *= 10 }
    guard whole < 100 || fraction == 0 else { return nil }
    millionths = whole * 10_000 + fraction
  }

  /// Returns the percentile of values in ascending order; nil if there are none.
  ///
  /// For p99, at least 99 % of the values are at most as large as the result, which is the smallest such value. For p0, it is the
  /// smallest value.
  func value<Value>(of ascending: [Value]) -> Value? {
    guard !ascending.isEmpty else { return nil }
    return ascending[Int(rank(among: UInt64(ascending.count))) - 1]
  }

  /// Returns the position of the percentile among `count` values in ascending order, from 1.
  func rank(among count: UInt64) -> UInt64 {
    let product = count.multipliedFullWidth(by: millionths)
    let (rank, rest) = UInt64(1_000_000).dividingFullWidth(product)
    return max(rank + (rest > 0 ? 1 : 0), 1)
  }
}
