import Platform

/// Why a failed request is worth a retry.
package enum RetryReason: Equatable, Sendable {
  /// The network or the service failed temporarily.
  case transient
  /// The service throttled the request.
  case throttling
}

extension ServiceError {
  /// Why a retry may succeed after this response; nil if it would get the same response.
  ///
  /// Follows the standard retry mode of the AWS SDKs. In addition, a status 429 without a code counts as throttling,
  /// which is its meaning in HTTP (RFC 6585, section 4).
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

  /// Returns how long to wait after the failed attempt number `attempt`, counted from 1.
  ///
  /// `random`, from 0 to 1, spreads the retries of many clients. `retryAfter` is the value of `x-amz-retry-after` in
  /// milliseconds; it extends the delay by at most 5 s.
  package static func delay(
    afterAttempt attempt: Int, _ reason: RetryReason, random: Double, retryAfter: String? = nil
  ) -> Duration {
    let first: Duration = reason == .throttling ? .seconds(1) : .milliseconds(50)
    let backoff = Backoff(first: first, cap: .seconds(20), jitter: 1)
    let delay = backoff.delay(afterFailures: attempt, random: random)
    guard let wished = retryAfter.flatMap(milliseconds) else { return delay }
    return max(delay, min(wished, delay + .seconds(5)))
  }

  /// Parses a whole number of milliseconds; nil for any other text.
  private static func milliseconds(_ text: String) -> Duration? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    // A number that overflows is larger than any limit.
    return .milliseconds(Int64(text) ?? Int64(Int32.max))
  }
}

/// Limits the retries of a client, so that an outage isn't met with three times the requests.
package struct RetryQuota: Sendable {
  private let limit: Int
  package private(set) var capacity: Int

  package init(capacity: Int = 500) {
    limit = capacity
    self.capacity = capacity
  }

  /// Withdraws and returns the cost of a retry; nil if too little is left and the caller must not retry.
  package mutating func take(for reason: RetryReason) -> Int? {
    let cost = reason == .throttling ? 5 : 14
    guard cost <= capacity else { return nil }
    capacity -= cost
    return cost
  }

  /// Restores capacity after a success: the cost of the last retry, or 1 if there was no retry.
  package mutating func giveBack(_ lastCost: Int?) {
    capacity = min(limit, capacity + (lastCost ?? 1))
  }
}
