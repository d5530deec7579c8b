import Platform

/// What happens before the wait for a report: the connection at the start, and the status for the service manager.
extension ReportLoop {
  /// Connects once and logs the result, so that an operator needn't wait for the first report to see a mistake.
  ///
  /// Publishes nothing. A failure is logged and has no other effect: the first report connects again.
  mutating func connectAtStart(for work: ReportWork, before end: BootTime) {
    guard configuration.connectsAtStart, !hasConnectedAtStart, !work.isDryRun else { return }
    hasConnectedAtStart = true
    let limit = min(end, time.bootTime.advanced(by: configuration.publishTimeout))
    do throws(PublishError) {
      guard let opened = try publisher.open(for: work.topic, until: limit) else { return }
      isReachable = true
      log.info(
        "Connected to \(opened)." + (opened.staysOpen ? "" : " Closed the connection until the first report.")
      )
    } catch {
      isReachable = false
      let name = configuration.mqtt.map { " as '\($0.settings.clientID)'" } ?? ""
      let failure = "Can't connect to \(error.endpoint)\(name): \(sentence(error.reason))"
      guard !error.isOfStop else { return log.info(failure) }
      status?.failed(failure, at: time.wallTime)
      log.error("\(failure) \(error.advice) The first report tries again.")
    }
  }

  /// Shows the state before the wait for a report that is due at `next`.
  func showStatus(next: BootTime) {
    guard let status else { return }
    status.waits(
      until: time.wallTime.advanced(by: time.bootTime.duration(to: next)), isConnected: publisher.isConnected,
      isReachable: isReachable, note: publisher.connectionNote)
  }

  /// Records what a report added to the counts in `before`.
  mutating func noteResult(_ outcome: ReportOutcome, since before: ReportOutcome) {
    let hasDelivered = outcome.published > before.published || outcome.spooled > before.spooled
    commands.hasTried = true
    if hasDelivered {
      isReachable = true
      commands.lastDelivery = time.bootTime
    }
    if outcome.failed > before.failed { isReachable = false }
    guard let status else { return }
    if hasDelivered, let id = outcome.lastReportID {
      status.published(id, at: time.wallTime, isSpooled: outcome.spooled > before.spooled)
    }
    let hasError =
      outcome.failed > before.failed || outcome.confirmations.rejected > before.confirmations.rejected
    if hasError, let error = outcome.lastError { status.failed(error, at: time.wallTime) }
  }
}
