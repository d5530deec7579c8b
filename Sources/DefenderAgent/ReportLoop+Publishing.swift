import DeviceDefender
import Platform
import WireFormats

extension ReportLoop {
  /// Makes a report and publishes it. Returns whether it was throttled.
  mutating func publish(
    _ work: ReportWork, before end: BootTime, into outcome: inout ReportOutcome
  ) -> Bool {
    openState()
    let confirmer = publisher as? any ReportConfirmer
    takeLateConfirmation(confirmer, into: &outcome)
    let snapshot = sample(before: end)
    let draft = reporter.draft(of: snapshot, at: time.wallTime)
    let id = draft.report.id
    guard !draft.report.isEmpty else {
      // Without a baseline, a report from counters alone is empty. This snapshot becomes the baseline of the next report.
      reporter.begin(with: snapshot)
      outcome.failed += 1
      outcome.lastError = "no metrics could be read; the log has the reasons"
      return false
    }
    detect(in: snapshot, draft.report, into: &outcome)
    // Reserves the id: however this process ends, the next one doesn't use the id again.
    saveState(baselineIfSpooled: usesSpool(work) ? draft.nextBaseline : nil)
    let limit = min(end, time.bootTime.advanced(by: configuration.publishTimeout))
    if let isThrottled = publishInOrder(draft, work, until: limit, into: &outcome) {
      publishViolations(before: end, isConnected: isReachable)
      return isThrottled
    }
    do throws(PublishError) {
      let (receipt, size) = try send(draft.report, of: work, until: limit)
      hasPublished = true
      outcome.lastReportID = id
      note(receipt, of: id, size, work.topic, in: &outcome)
      let confirmationLimit = min(end, time.bootTime.advanced(by: configuration.confirmationTime))
      let confirmation = confirmer?.confirmation(of: id, until: confirmationLimit)
      settle(draft, confirmation, provesDelivery: confirmer?.provesDelivery ?? true)
      if let confirmation { note(confirmation, of: id, in: &outcome) }
      publishViolations(before: end, isConnected: true)
      return confirmation?.isThrottling ?? false
    } catch {
      outcome.failed += 1
      outcome.lastError = "\(error)"
      note(error, of: id)
      nextSpooled = nil
      if usesSpool(work), error.mayPass { _ = keep(draft, work, in: &outcome) }
      publishViolations(before: end, isConnected: false)
      return error.isThrottling
    }
  }

  func note(
    _ receipt: PublishReceipt, of id: UInt64, _ size: Int, _ topic: Topic, in outcome: inout ReportOutcome
  ) {
    if receipt.isSpooled { outcome.spooled += 1 } else { outcome.published += 1 }
    let verb = receipt.isSpooled ? "Spooled" : "Published"
    log.info("\(verb) report \(id), \(size) bytes, to \(topic.name): \(receipt).")
  }

  /// Publishes `report`, and returns the acknowledgement and the size of the payload in bytes.
  ///
  /// The lists are shortened if the other side accepts less than the configured size. It may name its limit only when
  /// the connection opens, so a report that turns out to be too large is published again with shorter lists.
  private func send(
    _ report: Report, of work: ReportWork, until limit: BootTime
  ) throws(PublishError) -> (PublishReceipt, size: Int) {
    var known = publisher.largestPayload(on: work.topic)
    while true {
      let payload = report.limited(to: known).encoded(as: work.format, names: work.names)
      (publisher as? any ReportConfirmer)?.announce(reportID: report.id)
      do throws(PublishError) {
        return (
          try publisher.publish(payload, to: work.topic, qos: .atLeastOnce, until: limit), payload.count
        )
      } catch {
        guard let largest = publisher.largestPayload(on: work.topic), payload.count > largest,
          largest < known ?? .max
        else { throw error }
        known = largest
      }
    }
  }

  mutating func note(_ error: PublishError, of id: UInt64) {
    let text = "Report \(id) was not published: \(error)"
    if error.isOfStop {
      // Not a fault, and nothing is lost: the report waits in the spool, or the next one includes its traffic.
      log.info(text)
    } else if failures.allows(error.repeatedText, at: time.bootTime) {
      log.error(text)
    } else {
      log.debug(text)
    }
  }

  private mutating func note(
    _ confirmation: ReportConfirmation, of id: UInt64, in outcome: inout ReportOutcome
  ) {
    switch confirmation {
    case .accepted:
      outcome.confirmations.accepted += 1
      log.info("Device Defender accepted report \(id).")
    case .rejected(let code, let message):
      outcome.confirmations.rejected += 1
      outcome.lastError = "Device Defender rejected report \(id): \(code): \(message)"
      let text = "Device Defender rejected report \(id): \(code): \(message)."
      if failures.allows("\(code): \(message)", at: time.bootTime) {
        log.error(text)
      } else {
        log.debug(text)
      }
    case .unanswered:
      outcome.confirmations.unanswered += 1
      noteUnanswered(id)
    case .spooled: log.debug("Report \(id) can't be answered before there is a connection to AWS IoT.")
    case .unavailable(let reason):
      outcome.confirmations.unanswered += 1
      let text = "Can't receive Device Defender's answers: \(sentence(reason))"
      // The transport has already logged the problem and what to do about it.
      if failures.allows(text, at: time.bootTime) { log.info(text) }
    case .stopped:
      outcome.confirmations.unanswered += 1
      log.info("A stop was requested before Device Defender answered report \(id).")
    }
  }

  private mutating func noteUnanswered(_ id: UInt64) {
    // With this setting, the loop never waits for answers, so their absence isn't a problem.
    guard configuration.confirmationTime > .zero else {
      return log.debug("Didn't wait for an answer to report \(id).")
    }
    let text =
      "No answer to report \(id) within \(configuration.confirmationTime.inWords). Allow iot:Subscribe and iot:Receive on "
      + "the topics /accepted and /rejected. Brokers other than AWS IoT never answer."
    if failures.allows("no answer", at: time.bootTime) { log.warn(text) } else { log.debug(text) }
  }

  /// Moves the baseline for a published report, or remembers the report until Device Defender answers it.
  ///
  /// A rejected report does neither.
  private mutating func settle(
    _ draft: Reporter.Draft, _ confirmation: ReportConfirmation?, provesDelivery: Bool
  ) {
    let context = BaselinePolicy.Context(
      acknowledgement: configuration.acknowledgement, provesDelivery: provesDelivery,
      thing: configuration.thingName)
    if policy.movesBaseline(confirmation, context) {
      policy.forgetUnanswered()
      reporter.acknowledge(draft.nextBaseline)
    } else if confirmation?.isRejection != true {
      let isSpooled = confirmation == .spooled
      if policy.hold(draft.report.id, draft.nextBaseline, isSpooled: isSpooled) {
        warnOfRepetition(confirmation)
      }
    }
  }

  /// Processes an answer that arrived after the wait for it had ended. An acceptance moves the baseline.
  mutating func takeLateConfirmation(
    _ confirmer: (any ReportConfirmer)?, into outcome: inout ReportOutcome
  ) {
    guard let unanswered = policy.unanswered,
      let confirmation = confirmer?.lateConfirmation(of: unanswered.id)
    else { return }
    let context = BaselinePolicy.Context(
      acknowledgement: configuration.acknowledgement, provesDelivery: true, thing: configuration.thingName)
    if policy.movesBaseline(confirmation, context) {
      reporter.acknowledge(unanswered.baseline)
    }
    guard (unanswered.isSpooled ? outcome.spooled : outcome.confirmations.unanswered) > 0 else {
      // An earlier run made the report, and its outcome has already been returned.
      var earlier = outcome
      note(confirmation, of: unanswered.id, in: &earlier)
      return
    }
    if !unanswered.isSpooled { outcome.confirmations.unanswered -= 1 }
    note(confirmation, of: unanswered.id, in: &outcome)
  }

  private func warnOfRepetition(_ confirmation: ReportConfirmation?) {
    let cause =
      if case .unavailable(let reason) = confirmation {
        "answers can't be received: \(reason)"
      } else {
        "the device is offline, or its policy lacks iot:Publish, iot:Subscribe or iot:Receive on Device Defender's topics"
      }
    log.warn(
      "Device Defender hasn't answered the last reports, so each report repeats the traffic of the unanswered ones. "
        + "Likely cause: \(sentence(cause))")
  }
}
