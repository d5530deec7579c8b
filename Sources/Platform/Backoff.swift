/// How long to wait before each retry: exponentially longer up to a limit, part of each wait by chance.
///
/// "Exponential backoff and jitter", as in the AWS SDKs. The random part keeps clients that failed in the same moment from
/// coming back in the same moment.
package struct Backoff: Equatable, Sendable {
  /// The wait after the first failure, before jitter.
  package let first: Duration
  /// By what the wait grows with each failure.
  package let factor: Int
  /// The longest wait.
  package let cap: Duration
  /// The part of each wait that is random: 0 for none, 1 for a wait from zero to the whole.
  package let jitter: Double
  /// How many failures ``next(using:)`` has counted since the last success.
  package private(set) var failures = 0

  package init(first: Duration, factor: Int = 2, cap: Duration, jitter: Double) {
    self.first = first
    self.factor = factor
    self.cap = cap
    self.jitter = jitter
  }

  /// The longest wait after so many failures in a row, counted from 1.
  package func ceiling(afterFailures failures: Int) -> Duration {
    var wait = first
    var count = 1
    // Ends at the cap, so that no number of failures can overflow.
    while count < failures, wait < cap, factor > 1, wait > .zero {
      wait *= factor
      count += 1
    }
    return min(wait, cap)
  }

  /// A wait after so many failures in a row, counted from 1.
  package func delay(
    afterFailures failures: Int, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    let ceiling = ceiling(afterFailures: failures)
    guard jitter > 0 else { return ceiling }
    return ceiling * Double.random(in: (1 - min(jitter, 1))...1, using: &generator)
  }

  /// Counts a failure, and returns how long to wait now.
  package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    failures = min(failures, Int.max - 1) + 1
    return delay(afterFailures: failures, using: &generator)
  }

  /// Begins again with the first wait, after a success.
  package mutating func reset() { failures = 0 }
}
