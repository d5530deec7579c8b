import AWSClient
package import DefenderAgent
import DeviceDefender
package import Platform

/// A device that runs `defender agent` or `bootstrap agent`, as the service sees it: when it connects and when it
/// reports.
///
/// The product's own types make the decisions (`FirstReport`, `ReportSchedule`, `ReconnectDelay`, `StandardRetry`,
/// `RetryQuota`). This type only reproduces the order in which `PublishMetricsHandler`, `MQTTPublisher` and
/// `HTTPSPublisher` call them, because simulating a million of those would take too long. A test runs the real ones on
/// the same clock and compares every event.
package struct Device: Sendable {
  /// The settings that all devices of a fleet share.
  package struct Settings: Sendable {
    package var interval = Duration.seconds(300)
    /// Whether the first reports are spread over the interval (`DEFENDER_JITTER`).
    package var isSpread = true
    package var transport = Transport.mqtt
    package var delay = ReconnectDelay()
    /// Whether a throttled report moves the device to another slot; the product always does this.
    package var movesOn = true
    /// Whether the time of the last report survives a restart (`DEFENDER_STATE_DIRECTORY`).
    package var hasState = true

    package init() {}

    /// The longest time spent on one report, including retries. Attempts are answered at once here, so
    /// `ServiceClient.standardAttemptTimeout` never ends one.
    var publishTimeout: Duration { transport.publishTimeout }
  }

  /// An event of a device that the service can observe.
  package enum Event: Sendable {
    case started
    case refusedConnection
    case report(Service.Answer)
  }

  let name: String
  let number: Int
  private var generator: SeededGenerator
  private var schedule: ReportSchedule
  private var delay: ReconnectDelay
  private var isConnected = false
  private var retryQuota = RetryQuota()
  /// The number of attempts for the current report, and the cost of its last retry in the retry quota.
  private var attempts = 0
  private var lastCost: Int?
  private var hasStarted = false
  /// The deadline of the current report; nil between reports.
  private var deadline: BootTime?
  /// The id of the last report: the second in which it was made.
  private var lastReportID: UInt64 = 0
  package private(set) var lastAccepted: BootTime?
  /// When the device acts next.
  package private(set) var wake: BootTime

  package init(_ name: String, number: Int, start: BootTime, _ settings: Settings) {
    self.name = name
    self.number = number
    generator = SeededGenerator(seed: UInt64(number))
    delay = settings.delay
    wake = start
    schedule = ReportSchedule(interval: settings.interval, first: start)
  }

  /// Ends the process and starts it again at `now`.
  package mutating func restart(at now: BootTime, _ settings: Settings) {
    isConnected = false
    hasStarted = false
    deadline = nil
    attempts = 0
    delay = settings.delay
    retryQuota = RetryQuota()
    if !settings.hasState { lastReportID = 0 }
    wake = now
  }

  package mutating func loseConnection() { isConnected = false }

  /// Performs the action that is due at `wake`.
  package mutating func run(_ settings: Settings, _ service: inout Service, _ note: (Event, BootTime) -> Void)
  {
    let now = wake
    guard hasStarted else {
      hasStarted = true
      note(.started, now)
      let firstReport = FirstReport(
        interval: settings.interval, lastReportID: lastReportID, now: wallTime(now))
      let first =
        settings.isSpread
        ? firstReport.due(from: now, thing: name)
        // Without a saved baseline, the first snapshot becomes the baseline and isn't published.
        : lastReportID == 0 ? now.advanced(by: settings.interval) : firstReport.dueUnspread(from: now)
      schedule = ReportSchedule(interval: settings.interval, first: first)
      wake = first
      return
    }
    if deadline == nil { lastReportID = UInt64(wallTime(now).secondsSinceEpoch) }
    let deadline = deadline ?? now.advanced(by: settings.publishTimeout)
    self.deadline = deadline
    if settings.transport == .mqtt {
      publishOverMQTT(at: now, until: deadline, settings, &service, note)
    } else {
      publishOverHTTPS(at: now, until: deadline, settings, &service, note)
    }
  }

  private mutating func publishOverMQTT(
    at now: BootTime, until deadline: BootTime, _ settings: Settings, _ service: inout Service,
    _ note: (Event, BootTime) -> Void
  ) {
    // Before it connects, `MQTTPublisher` waits for the delay that earlier failures caused.
    if !isConnected, let next = delay.notBefore, next > now {
      if next < deadline { wake = next } else { finishReport(at: now) }
      return
    }
    if !isConnected {
      guard service.connect(at: now) else {
        note(.refusedConnection, now)
        delay.failed(at: now, using: &generator)
        guard let next = delay.notBefore, next < deadline else { return finishReport(at: now) }
        wake = next
        return
      }
      isConnected = true
    }
    delay.succeeded()
    let answer = service.report(at: now, last: lastAccepted)
    if answer == .accepted { lastAccepted = now }
    note(.report(answer), now)
    finishReport(at: now, movesOn: answer == .throttled && settings.movesOn)
  }

  private mutating func publishOverHTTPS(
    at now: BootTime, until deadline: BootTime, _ settings: Settings, _ service: inout Service,
    _ note: (Event, BootTime) -> Void
  ) {
    attempts += 1
    var reason = RetryReason.transient
    if service.isDown(at: now) {
      note(.refusedConnection, now)
    } else {
      let answer = service.report(at: now, last: lastAccepted)
      note(.report(answer), now)
      if answer == .accepted {
        retryQuota.giveBack(lastCost)
        lastAccepted = now
        return finishReport(at: now)
      }
      reason = .throttling
    }
    let left = now.duration(to: deadline)
    if attempts < StandardRetry.maximumAttempts {
      let delay = StandardRetry.delay(
        afterAttempt: attempts, reason, random: .random(in: 0..<1, using: &generator))
      if delay + ServiceClient.shortestRetry <= left, let cost = retryQuota.take(for: reason) {
        lastCost = cost
        wake = now.advanced(by: delay)
        return
      }
    }
    finishReport(at: now, movesOn: reason == .throttling && settings.movesOn)
  }

  private mutating func finishReport(at now: BootTime, movesOn: Bool = false) {
    deadline = nil
    attempts = 0
    lastCost = nil
    schedule.advance(past: now)
    if movesOn { schedule.moveOn(using: &generator) }
    wake = schedule.next
  }
}
