import DeviceDefender
import Platform
import WireFormats

/// Store and forward: reports to a topic of the operator's own that couldn't be published wait in the spool.
///
/// Reports are published in the order of their ids. While reports wait, each new one is added to them, and the loop publishes
/// the oldest instead. If that succeeds, it publishes more of them until the next slot.
extension ReportLoop {
  /// The pause between two spooled reports. It is random, so that a fleet that was offline doesn't publish in step.
  private static let spoolPause = 1.0...2.0
  /// The least time for one spooled report.
  private static let leastPublishTime = Duration.seconds(1)

  /// Returns whether reports of `work` wait in the spool if they can't be published.
  func usesSpool(_ work: ReportWork) -> Bool {
    configuration.spoolBytes > 0 && !work.topic.isDeviceDefenders && !work.isDryRun
  }

  /// Adds a report to the spool. If it is durable there, it moves the baseline, and this method returns true.
  mutating func keep(_ draft: Reporter.Draft, _ work: ReportWork, in outcome: inout ReportOutcome) -> Bool {
    let largest = publisher.largestPayload(on: work.topic)
    let payload = draft.report.limited(to: largest).encoded(as: work.format, names: work.names)
    let report = SpooledReport(id: draft.report.id, thing: configuration.thingName ?? "", payload: payload)
    let isKept = state.spool(report, at: time)
    if isKept {
      // A late answer to an earlier report must not move the baseline back.
      policy.forgetUnanswered()
      reporter.acknowledge(draft.nextBaseline)
      saveState()
      log.info("Report \(report.id) was added to the spool. Reports in the spool: \(state.spooledCount).")
    }
    noteSpool(in: &outcome)
    return isKept
  }

  /// While reports wait in the spool, adds a new one to it, and publishes the oldest. Returns whether that was throttled; nil if the
  /// new report has to be published now.
  mutating func publishInOrder(
    _ draft: Reporter.Draft, _ work: ReportWork, until limit: BootTime, into outcome: inout ReportOutcome
  ) -> Bool? {
    guard usesSpool(work), state.spooledCount > 0, keep(draft, work, in: &outcome) else { return nil }
    return publishOldest(until: limit, into: &outcome)
  }

  /// Publishes the oldest report in the spool, if there is one. Returns whether it was throttled.
  private mutating func publishOldest(until limit: BootTime, into outcome: inout ReportOutcome) -> Bool {
    defer { noteSpool(in: &outcome) }
    // After a start, the disk may still have the state of the previous process.
    saveState()
    guard let report = publishableReport(), let topic = try? configuration.topic(for: report.format) else {
      // The disk has a problem, which the log describes.
      nextSpooled = time.bootTime.advanced(by: .seconds(60))
      return false
    }
    let confirmer = publisher as? any ReportConfirmer
    confirmer?.announce(reportID: report.id)
    do throws(PublishError) {
      let receipt = try publisher.publish(report.payload, to: topic, qos: .atLeastOnce, until: limit)
      state.removeOldestSpooled()
      hasPublished = true
      isReachable = true
      outcome.lastReportID = report.id
      note(receipt, of: report.id, report.payload.count, topic, in: &outcome)
      if state.spooledCount == 0 {
        log.info("The spool is empty.")
        // No answer is expected, but this call closes a connection that is opened for each report.
        _ = confirmer?.confirmation(of: report.id, until: time.bootTime)
      }
      return false
    } catch {
      isReachable = false
      nextSpooled = nil
      outcome.failed += 1
      outcome.lastError = "\(error)"
      note(error, of: report.id)
      // Otherwise no later report would ever be published.
      if !error.mayPass { state.dropOldestSpooled(withoutFinalPeriod(error.reason)) }
      return error.isThrottling
    }
  }

  /// Returns the oldest report in the spool that can be published. Drops the reports before it that never can.
  private mutating func publishableReport() -> SpooledReport? {
    while let report = state.oldestSpooled() {
      let thing = configuration.thingName ?? ""
      let topic = try? configuration.topic(for: report.format)
      let limits = [
        configuration.limits.maximumReportBytes, topic.flatMap { publisher.largestPayload(on: $0) } ?? .max,
      ]
      if report.thing != thing {
        state.dropOldestSpooled("it describes the thing '\(report.thing)', but this one is '\(thing)'")
      } else if let limit = limits.min(), report.payload.count > limit {
        state.dropOldestSpooled("it has \(report.payload.count) bytes, but at most \(limit) are accepted now")
      } else {
        return report
      }
    }
    return nil
  }

  /// Waits until `slot`, or until the next report in the spool is due, and publishes that.
  mutating func wait(
    until slot: BootTime, for work: ReportWork, before end: BootTime, into outcome: inout ReportOutcome
  ) -> Wake {
    guard let next = nextSpooled(of: work, before: slot) else { return time.wait(until: slot) }
    let wake = time.wait(until: next)
    guard wake == .onTime else { return wake }
    publishNext(before: slot, end, into: &outcome)
    // A command may have arrived with the acknowledgement.
    return .message
  }

  /// Publishes the reports in the spool after the last report of a plan, which was due at `due`: until shortly before the next
  /// interval, in which another process may need the state directory, and until shortly before `end`.
  mutating func publishWaiting(
    _ work: ReportWork, after due: BootTime, before end: BootTime, into outcome: inout ReportOutcome
  ) {
    let limit = min(due.advanced(by: work.interval * 9 / 10), end.advanced(by: .zero - Self.leastPublishTime))
    while let next = nextSpooled(of: work, before: limit), time.wait(until: next) == .onTime {
      publishNext(before: limit, end, into: &outcome)
      showStatus(next: limit)
    }
  }

  /// Publishes the oldest report in the spool in the time before `slot`, and plans the pause after it.
  private mutating func publishNext(before slot: BootTime, _ end: BootTime, into outcome: inout ReportOutcome)
  {
    let now = time.bootTime
    nextSpooled = pause(after: now)
    let before = outcome
    // With a short interval, the slot may come earlier than the acknowledgement.
    let limit = max(slot, now.advanced(by: .seconds(10)))
    _ = publishOldest(
      until: min(end, limit, now.advanced(by: configuration.publishTimeout)), into: &outcome)
    let lastDelivery = commands.lastDelivery
    noteResult(outcome, since: before)
    // An old report from the spool must not delay the one that a command requests.
    commands.lastDelivery = lastDelivery
  }

  /// Returns when to publish the next report in the spool; nil if that isn't before `slot`, or there is none, or the last attempt
  /// failed.
  private mutating func nextSpooled(of work: ReportWork, before slot: BootTime) -> BootTime? {
    guard isReachable, usesSpool(work), state.spooledCount > 0 else { return nil }
    let now = time.bootTime
    let next = max(now, nextSpooled ?? pause(after: now))
    nextSpooled = next
    return next < slot ? next : nil
  }

  private mutating func pause(after now: BootTime) -> BootTime {
    now.advanced(by: .seconds(Double.random(in: Self.spoolPause, using: &random)))
  }

  /// Records the number of reports that wait in the spool, and of those that it lost.
  mutating func noteSpool(in outcome: inout ReportOutcome) {
    outcome.waiting = state.spooledCount
    outcome.dropped += state.takeLostSpooled()
    status?.waiting = outcome.waiting
  }
}

extension PublishError {
  /// Whether publishing the same message later may succeed. It may after a refusal, because an operator can correct the policy.
  var mayPass: Bool {
    if case .payloadTooLarge = cause { return false }
    if case .transport(let failure) = cause, failure.kind == .unacceptable { return false }
    return status != 413
  }
}
