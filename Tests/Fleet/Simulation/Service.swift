package import Platform

/// The AWS account that a fleet reports to: its quotas and its outage.
package struct Service: Sendable {
  package struct Quotas: Sendable {
    /// Reports per second and account ("AWS IoT Device Defender endpoints and quotas", AWS General Reference).
    package var reports = 3_500.0
    /// MQTT CONNECT requests per second and account; infinite if the scenario doesn't limit them.
    package var connects = Double.infinity
    /// The shortest interval between two reports of a device that Device Defender doesn't throttle.
    package var shortestInterval = Duration.seconds(300)

    package init() {}
  }

  /// The result of a report that reached the broker.
  package enum Answer: Equatable, Sendable {
    case accepted, throttled
  }

  package let outage: Range<BootTime>?
  private let shortestInterval: Duration
  private var reportQuota: TokenBucket
  private var connectQuota: TokenBucket

  package init(_ quotas: Quotas, outage: Range<BootTime>? = nil) {
    self.outage = outage
    shortestInterval = quotas.shortestInterval
    reportQuota = TokenBucket(perSecond: quotas.reports)
    connectQuota = TokenBucket(perSecond: quotas.connects)
  }

  package func isDown(at now: BootTime) -> Bool { outage?.contains(now) ?? false }

  /// Returns whether an outage has closed, by `end`, a connection that was opened at `start`.
  package func hadOutage(between start: BootTime, and end: BootTime) -> Bool {
    outage.map { start < $0.lowerBound && end >= $0.lowerBound } ?? false
  }

  /// Returns whether the service accepts a connection at `now`. It refuses one without delay.
  package mutating func connect(at now: BootTime) -> Bool { !isDown(at: now) && connectQuota.take(at: now) }

  /// Returns the answer to the report of a device whose last accepted report arrived at `last`.
  package mutating func report(at now: BootTime, last: BootTime?) -> Answer {
    // A tolerance of a millisecond, so that rounding doesn't cause throttling.
    if let last, last.duration(to: now) + .milliseconds(1) < shortestInterval { return .throttled }
    return reportQuota.take(at: now) ? .accepted : .throttled
  }
}

/// A token bucket that holds the tokens of at most one second.
struct TokenBucket: Sendable {
  private let perSecond: Double
  private var tokens: Double
  private var last = BootTime(nanosecondsSinceBoot: 0)

  init(perSecond: Double) {
    self.perSecond = perSecond
    tokens = perSecond
  }

  mutating func take(at now: BootTime) -> Bool {
    guard perSecond.isFinite else { return true }
    let nanoseconds = now.nanosecondsSinceBoot - last.nanosecondsSinceBoot
    tokens = min(perSecond, tokens + Double(nanoseconds) / 1e9 * perSecond)
    last = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
