import DeviceDefender
import Platform

/// What a loop remembers about commands.
struct CommandState {
  var limiter = CommandLimiter()
  var answered = AnsweredCommands()
  /// The interval that a command requested; nil for the configured one.
  var interval: Duration?
  /// When this process last delivered a report; nil if it hasn't delivered any.
  var lastDelivery: BootTime?
  /// Whether this process has tried to publish a report.
  var hasTried = false
}

/// The wait for a report, and the commands that arrive during it.
extension ReportLoop {
  /// Waits until the next report is due. Carries out the commands that arrive until then, which can change the schedule and the
  /// interval of `work`.
  mutating func waitForReport(
    _ schedule: inout ReportSchedule, _ work: inout ReportWork, before end: BootTime,
    into outcome: inout ReportOutcome
  ) -> Wake {
    while true {
      carryOutCommands(&schedule, &work, before: end, into: &outcome)
      showStatus(next: schedule.next)
      let wake = wait(until: schedule.next, for: work, before: end, into: &outcome)
      guard wake == .message else { return wake }
      // An endless stream of commands must not delay a report or a stop.
      if time.shutdownSignal?.isRequested == true { return .shutdown }
      if time.bootTime >= schedule.next { return .onTime }
    }
  }

  /// Carries out the commands that have arrived, and those that arrive meanwhile, as long as no report is due and no stop is
  /// requested.
  private mutating func carryOutCommands(
    _ schedule: inout ReportSchedule, _ work: inout ReportWork, before end: BootTime,
    into outcome: inout ReportOutcome
  ) {
    guard !work.isDryRun, let receiver = publisher as? any CommandReceiver else { return }
    // Repeat until none is left. A command that arrived with an acknowledgement may already be in a buffer, and then the descriptor
    // doesn't become readable.
    while case let payloads = receiver.takeCommands(), !payloads.isEmpty {
      for payload in payloads {
        guard time.shutdownSignal?.isRequested != true else { return }
        guard let command = admitted(payload, from: receiver, before: end, into: &outcome) else { continue }
        let result =
          switch command.action {
          case .report: reportNow(work, &schedule, before: end, into: &outcome)
          case .interval(let wanted): change(&schedule, &work, to: wanted)
          }
        let response = CommandResponse(
          result, to: command.name, id: command.id, thing: configuration.thingName)
        commands.answered.append(response)
        respond(response, to: receiver, before: end, into: &outcome)
      }
      guard time.bootTime < schedule.next else { return }
    }
  }

  /// Returns the command to carry out; nil if the message is malformed, repeats a command or exceeds the limit. Responds to such a
  /// message, unless the limiter drops it.
  private mutating func admitted(
    _ payload: [UInt8], from receiver: any CommandReceiver, before end: BootTime,
    into outcome: inout ReportOutcome
  ) -> Command? {
    switch commands.limiter.verdict(at: time.bootTime) {
    case .admitted: break
    case .refused:
      let (name, id) = Command.identity(of: payload)
      let response = CommandResponse(
        .rejected(CommandLimiter.reason), to: name, id: id, thing: configuration.thingName)
      respond(response, to: receiver, before: end, into: &outcome)
      return nil
    case .dropped:
      log.debug("Dropped a command: \(CommandLimiter.reason).")
      return nil
    }
    do throws(CommandError) {
      let command = try Command(parsing: payload)
      guard let id = command.id, let former = commands.answered[id] else { return command }
      log.debug("Repeating the response to the command with the id '\(id)', which arrived again.")
      respond(former, to: receiver, before: end, into: &outcome)
    } catch {
      let response = CommandResponse(.rejected(error.reason), id: error.id, thing: configuration.thingName)
      respond(response, to: receiver, before: end, into: &outcome)
    }
    return nil
  }

  /// Makes a report and publishes it, unless the last one was delivered less than the minimum interval ago: Device Defender throttles
  /// such a report.
  ///
  /// The slot stays. It is skipped once if it comes too early after this report; the next report then includes its traffic.
  private mutating func reportNow(
    _ work: ReportWork, _ schedule: inout ReportSchedule, before end: BootTime,
    into outcome: inout ReportOutcome
  ) -> CommandResponse.Result {
    let start = time.bootTime
    if let next = earliestReport, next > start {
      let seconds = Int(start.duration(to: next).inSeconds.rounded(.up))
      return .rejected(
        "too early; the next report is allowed in \(seconds) s, because \(configuration.minimumInterval.inWords) is the "
          + "minimum interval (DEFENDER_MINIMUM_INTERVAL_SECONDS)")
    }
    let before = outcome
    openState()
    // Otherwise a late rejection of an earlier report would count as one of this report.
    takeLateConfirmation(publisher as? any ReportConfirmer, into: &outcome)
    let rejectedBefore = outcome.confirmations.rejected
    let wasThrottled = publish(work, before: end, into: &outcome)
    noteResult(outcome, since: before)
    saveState()
    let hasDelivered = outcome.published > before.published || outcome.spooled > before.spooled
    if hasDelivered {
      schedule.skip(before: start.advanced(by: configuration.minimumInterval))
      // If the configuration changes, the next run continues this schedule.
      lastDue = schedule.previous
    }
    if wasThrottled { moveOn(&schedule) }
    returnFreeMemory()
    if state.newestSpooledID == reporter.lastReportID {
      return .report(
        reporter.lastReportID, note: "it waits in the spool, the last of \(state.spooledCount) reports")
    }
    guard hasDelivered, outcome.confirmations.rejected == rejectedBefore,
      let id = outcome.lastReportID
    else {
      return .rejected(
        outcome.lastError ?? "no report was made", reportID: hasDelivered ? outcome.lastReportID : nil)
    }
    return .report(id)
  }

  /// When the next report is allowed; nil if it is allowed at any time.
  private var earliestReport: BootTime? {
    if let last = commands.lastDelivery { return last.advanced(by: configuration.minimumInterval) }
    // The id of the previous process's last report is the second in which it was made. After a failed attempt of this process, the
    // last id is that of the attempt, which doesn't count.
    guard !commands.hasTried, let second = Int64(exactly: reporter.lastReportID), second > 0 else {
      return nil
    }
    let since = WallTime(secondsSinceEpoch: second).duration(to: time.wallTime)
    guard since >= .zero, since < configuration.minimumInterval else { return nil }
    return time.bootTime.advanced(by: configuration.minimumInterval - since)
  }

  /// Changes the interval until the next restart; `wanted` is nil for the configured one.
  private mutating func change(
    _ schedule: inout ReportSchedule, _ work: inout ReportWork, to wanted: Duration?
  ) -> CommandResponse.Result {
    commands.interval = wanted
    let interval = configuration.effectiveInterval(wanted: wanted)
    let note = wanted.flatMap { $0 < interval ? raiseOfInterval(from: $0, to: interval) : nil }
    let now = time.bootTime
    let regular =
      if let lastDue {
        lastDue.advanced(by: interval)
      } else {
        firstReport(dueAt: schedule.next, in: interval, from: now)
      }
    let next = regular > now ? regular : now.advanced(by: delay(ofOverdueReportIn: interval))
    work.interval = interval
    schedule = ReportSchedule(interval: interval, first: max(next, earliestReport ?? next))
    lastDue = lastDue.map { _ in schedule.previous }
    return .interval(interval, note: note)
  }

  /// Returns when the first report is due after a change of the interval at `now`. It stays due at `slot`, unless the new interval
  /// ends earlier. Then it is due at this thing's slot in the new interval, because a command can reach a whole fleet at one moment.
  private func firstReport(dueAt slot: BootTime, in interval: Duration, from now: BootTime) -> BootTime {
    let end = now.advanced(by: interval)
    guard slot > end, configuration.isSpread, let thing = configuration.thingName else {
      return min(slot, end)
    }
    return now.advanced(by: slotOffset(in: interval, thing: thing))
  }

  /// Returns how long an overdue report waits after a change of the interval: until this thing's slot, because a command can reach a
  /// whole fleet at one moment.
  private func delay(ofOverdueReportIn interval: Duration) -> Duration {
    guard configuration.isSpread, let thing = configuration.thingName else { return .zero }
    return slotOffset(in: interval, thing: thing)
  }

  /// Publishes the response, counts it and logs it.
  private mutating func respond(
    _ response: CommandResponse, to receiver: any CommandReceiver, before end: BootTime,
    into outcome: inout ReportOutcome
  ) {
    if response.isRejection { outcome.commands.rejected += 1 } else { outcome.commands.accepted += 1 }
    let name = response.command.map { "'\($0)' " } ?? ""
    log.info("Command \(name)on \(receiver.commandTopics?.commands.name ?? ""): \(response).")
    status?.commanded("\(name)\(response)", at: time.wallTime)
    do throws(PublishError) {
      try receiver.respond(response.encoded, until: min(end, time.bootTime.advanced(by: .seconds(10))))
    } catch {
      let text = "Can't publish the response to a command: \(error)"
      if failures.allows("response: \(error.repeatedText)", at: time.bootTime) {
        log.info(text)
      } else {
        log.debug(text)
      }
    }
  }
}
