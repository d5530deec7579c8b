/// Computes the wait before each retry: exponential up to a limit, with jitter.
///
/// This is "exponential backoff and jitter", as in the AWS SDKs. The random part keeps clients that failed at the same
/// moment from retrying at the same moment.
package struct Backoff: Equatable, Sendable {
  /// The wait after the first failure, before jitter.
  package let first: Duration
  /// The factor by which the wait grows with each failure.
  package let factor: Int
  /// The longest wait.
  package let cap: Duration
  /// The random part of each wait: 0 for no jitter, 1 for a wait between zero and the full length.
  package let jitter: Double
  /// The number of failures that ``next(using:)`` has counted since the last success.
  package private(set) var failures = 0

  package init(first: Duration, factor: Int = 2, cap: Duration, jitter: Double) {
    self.first = first
    self.factor = factor
    self.cap = cap
    self.jitter = jitter
  }

  /// Returns the longest wait after `failures` consecutive failures, counted from 1.
  package func ceiling(afterFailures failures: Int) -> Duration {
    var wait = first
    var count = 1
    // The loop ends at the cap, so that no number of failures can overflow.
    while count < failures, wait < cap, factor > 1, wait > .zero {
      wait *= factor
      count += 1
    }
    return min(wait, cap)
  }

  /// Returns a wait, with jitter, after `failures` consecutive failures, counted from 1.
  package func delay(
    afterFailures failures: Int, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    delay(afterFailures: failures, random: jitter > 0 ? .random(in: 0...1, using: &generator) : 1)
  }

  /// Returns a wait after `failures` consecutive failures, counted from 1. Its random part is `random`, from 0 for the
  /// shortest wait to 1 for the longest.
  package func delay(afterFailures failures: Int, random: Double) -> Duration {
    // NaN fails the comparison and becomes 0.
    let fraction = random > 0 ? min(random, 1) : 0
    let share = min(max(jitter, 0), 1)
    return ceiling(afterFailures: failures) * (1 - share + share * fraction)
  }

  /// Counts a failure and returns the wait before the next retry.
  package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    failures = min(failures, Int.max - 1) + 1
    return delay(afterFailures: failures, using: &generator)
  }

  /// Resets the number of failures after a success; the next wait is the first one again.
  package mutating func reset() { failures = 0 }
}
