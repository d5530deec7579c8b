package import Platform

/// The account that a fleet reports to: its quotas, and when it can't be reached.
package struct Service: Sendable {
  package struct Quotas: Sendable {
    /// Reports per second and account ("AWS IoT Device Defender endpoints and quotas", AWS General Reference).
    package var reports = 3_500.0
    /// Connections per second and account, MQTT's CONNECT; infinite where a scenario isn't about it.
    package var connects = Double.infinity
    /// Device Defender throttles reports of one device that are closer than this.
    package var shortestInterval = Duration.seconds(300)

    package init() {}
  }

  /// What became of a report that reached the broker.
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

  /// Whether a connection that was opened at `start` has been ended by an outage until `end`.
  package func hadOutage(between start: BootTime, and end: BootTime) -> Bool {
    outage.map { start < $0.lowerBound && end >= $0.lowerBound } ?? false
  }

  /// Whether a device that connects at `now` is let in; where not, it hears so at once.
  package mutating func connect(at now: BootTime) -> Bool { !isDown(at: now) && connectQuota.take(at: now) }

  /// Takes the report of a device whose last accepted one came at `last`.
  package mutating func report(at now: BootTime, last: BootTime?) -> Answer {
    // A millisecond of patience: rounding is no second report.
    if let last, last.duration(to: now) + .milliseconds(1) < shortestInterval { return .throttled }
    return reportQuota.take(at: now) ? .accepted : .throttled
  }
}

/// A quota of so many a second, of which at most one second's worth is saved up.
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
