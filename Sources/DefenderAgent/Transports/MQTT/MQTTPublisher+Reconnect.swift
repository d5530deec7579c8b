import MQTT
import Platform

/// Decides when to reconnect between two reports.
///
/// Half of each delay is random. The delay grows from one loss to the next, unless a connection lasted for
/// ``longestDelay``: two devices with one client id, for example, end each other's connections over and over.
struct Reconnection {
  static let firstDelay = Duration.seconds(10)
  static let longestDelay = Duration.seconds(300)
  /// The time limit for one attempt.
  static let attemptTimeout = Duration.seconds(30)

  private var delay = ReconnectDelay(first: firstDelay, longest: longestDelay)
  private var connectedAt: BootTime?
  /// An outage can last for days, and most attempts fail for the same reason.
  var repeats = RepeatFilter(interval: .seconds(3_600))

  /// The earliest moment of the next attempt; nil if no connection has ended yet.
  var notBefore: BootTime? { delay.notBefore }

  mutating func connected(at now: BootTime) { connectedAt = now }

  /// Chooses the moment of the next attempt after a connection ended, or couldn't be opened, at `now`.
  mutating func postpone(at now: BootTime, using random: inout some RandomNumberGenerator) {
    if let connectedAt, connectedAt.duration(to: now) >= Self.longestDelay { delay.succeeded() }
    connectedAt = nil
    delay.failed(at: now, using: &random)
  }
}

extension MQTTPublisher {
  /// When to reconnect for commands; nil if there is a connection, or if none is needed before the next report.
  var nextReconnect: BootTime? {
    guard session == nil, commands != nil, settings.connection == .persistent, connectionTopic != nil,
      let next = reconnection.notBefore
    else { return nil }
    return max(next, delay.notBefore ?? next)
  }

  /// Reconnects and renews the subscriptions if that is due. Gives up at `deadline`, when the next report connects.
  func reconnect(until deadline: BootTime) {
    let start = time.bootTime
    guard let topic = connectionTopic, let due = nextReconnect, due <= start else { return }
    let delayOfReports = delay
    do throws(TransportFailure) {
      _ = try session(for: topic, until: min(deadline, start.advanced(by: Reconnection.attemptTimeout)))
      delay.succeeded()
      if let problem = commandSubscription.takeProblem() { warnOfCommands(problem) }
      log("reconnected", "Reconnected to \(connector.endpoint) to receive commands.")
      whenReconnected?()
    } catch {
      // During an outage, `delay` grows to 60 s. A report has only 30 s, and would fail without an attempt.
      delay = delayOfReports
      // Every failure postpones the next attempt. Without this check, one that didn't would turn the wait into a busy loop.
      if let next = nextReconnect, next <= time.bootTime {
        postponeReconnect()
      }
      noteFailedReconnect(error)
    }
  }

  /// Chooses a later moment for the next attempt, after a connection ended or couldn't be opened.
  func postponeReconnect() {
    guard commands != nil else { return }
    reconnection.postpone(at: time.bootTime, using: &random)
  }

  private func noteFailedReconnect(_ failure: TransportFailure) {
    guard time.shutdownSignal?.isRequested != true else { return }
    let advice = failure.advice.isEmpty ? "" : " \(failure.advice)"
    let text =
      "Can't reconnect to \(connector.endpoint) to receive commands: \(sentence(failure.reason))\(advice) "
      + "The agent tries again, at most every \(Reconnection.longestDelay.inWords)."
    let isNew = reconnection.repeats.allows(failure.reason, at: time.bootTime)
    if isNew { log.info(text) } else { log.debug(text) }
  }
}
