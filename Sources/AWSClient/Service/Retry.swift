import Platform

/// Why a request may succeed when it is made again.
package enum RetryReason: Equatable, Sendable {
  /// The network or the service had a problem.
  case transient
  /// The service wants fewer requests.
  case throttling
}

extension ServiceError {
  /// Why this answer is worth another request; nil where another one would get the same.
  ///
  /// The standard retry mode of the AWS SDKs. In addition to it, a status 429 without any code counts as throttling:
  /// it says so in all of HTTP (RFC 6585, section 4).
  package var retryReason: RetryReason? {
    if let code, throttlingCodes.contains(code) { return .throttling }
    if let code, transientCodes.contains(code) { return .transient }
    if status == 429 && code == nil { return .throttling }
    return [500, 502, 503, 504].contains(status) ? .transient : nil
  }
}

private let transientCodes: Set<String> = ["RequestTimeout", "RequestTimeoutException"]

private let throttlingCodes: Set<String> = [
  "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException",
  "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
  "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled", "SlowDown",
  "PriorRequestNotComplete", "EC2ThrottledException",
]

/// The standard retry mode of the AWS SDKs, as of 2026 ("Retry behavior", AWS SDKs and Tools Reference Guide).
package enum StandardRetry {
  package static let maximumAttempts = 3

  /// How long to wait after the failed attempt number `attempt`, counted from 1.
  ///
  /// `random` from 0 to 1 spreads the retries of many clients; `retryAfter` is the value of `x-amz-retry-after`, in
  /// milliseconds, which counts up to 5 s beyond the delay that would be without it.
  package static func delay(
    afterAttempt attempt: Int, _ reason: RetryReason, random: Double, retryAfter: String? = nil
  ) -> Duration {
    let first: Duration = reason == .throttling ? .seconds(1) : .milliseconds(50)
    let backoff = Backoff(first: first, cap: .seconds(20), jitter: 1)
    // Not a number isn't above 0 either.
    let fraction = random > 0 ? min(random, 1) : 0
    let delay = backoff.ceiling(afterFailures: attempt) * fraction
    guard let wished = retryAfter.flatMap(milliseconds) else { return delay }
    return max(delay, min(wished, delay + .seconds(5)))
  }

  /// The duration in a whole number of milliseconds; nil for any other text.
  private static func milliseconds(_ text: String) -> Duration? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    // A number too large to read is larger than any limit.
    return .milliseconds(Int64(text) ?? Int64(Int32.max))
  }
}

/// The retries that a client may still make: an outage isn't met with three times the requests.
package struct RetryQuota: Sendable {
  private let limit: Int
  package private(set) var capacity: Int

  package init(capacity: Int = 500) {
    limit = capacity
    self.capacity = capacity
  }

  /// Takes what a retry costs and returns that; nil where it isn't there, and there is to be no retry.
  package mutating func take(for reason: RetryReason) -> Int? {
    let cost = reason == .throttling ? 5 : 14
    guard cost <= capacity else { return nil }
    capacity -= cost
    return cost
  }

  /// Gives back after a success: what the last retry took, or one where there was none.
  package mutating func giveBack(_ lastCost: Int?) {
    capacity = min(limit, capacity + (lastCost ?? 1))
  }
}
