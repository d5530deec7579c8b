import DeviceDefender
package import Platform

/// Samples this machine's network metrics and publishes them as Device Defender reports, one each interval.
///
/// The loop keeps the baseline and the last report id across calls of ``run(_:until:)``. Only a report that was
/// acknowledged, or that is durable in the spool, moves the baseline, so the report after a lost one includes its traffic.
package struct ReportLoop: ~Copyable {
  /// The least time that the loop reserves for a cycle before the deadline. A slower cycle raises it.
  private static let leastCycleTime = Duration.seconds(1)

  var configuration: Configuration
  var publisher: any Publisher
  var time: any Waiter
  let log: Log
  var reporter: Reporter
  var policy = BaselinePolicy()
  /// Chooses the next slot of a thing whose report was throttled, and the pauses between reports from the spool.
  var random: any RandomNumberGenerator
  /// Keeps the baseline and the last report id across restarts.
  var state: StateKeeper
  /// Evaluates the security profiles; nil if none is configured.
  var detector: Detector?
  /// The limits of commands, and what they changed.
  var commands = CommandState()
  var hasPublished = false
  /// The moment at which the last report was due.
  var lastDue: BootTime?
  /// Whether the next run continues the schedule of the last one.
  private var isResumed = false
  /// Rate-limits repeated failures in the log: the same text passes at most once per interval.
  var failures = RepeatFilter(interval: .seconds(240))
  /// Shows the state to the service manager; nil if there is none.
  package var status: AgentStatus?
  /// Whether the last attempt to connect or to publish succeeded.
  var isReachable = false
  /// Whether the publisher has connected before its first report, or has tried to.
  var hasConnectedAtStart = false
  /// The earliest time to publish the next report from the spool; nil after a failure.
  var nextSpooled: BootTime?
  private var hasWarnedOfReservedTopic = false
  private var hasWarnedOfInterval = false
  private var hasWarnedOfOwnTopic = false
  private var hasWarnedOfSpool = false

  package init(
    _ configuration: Configuration, publisher: any Publisher, time: any Waiter, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.configuration = configuration
    self.random = random
    self.publisher = publisher
    self.time = time
    self.log = log
    reporter = Reporter(
      collector: configuration.collector(log: log, or: time.shutdownSignal), limits: configuration.limits)
    state = configuration.stateKeeper(log: log)
    detector = configuration.detection.map { Detector($0, log: log) }
    // After a restart, the previous process may still be stopping and hold the state directory.
    openState(patience: .seconds(2))
  }

  /// Makes the next run continue with another configuration, one interval after the last report.
  ///
  /// The baseline stays unless the new configuration reads the counters of another network.
  package mutating func resume(
    with configuration: Configuration, publisher: any Publisher, time: any Waiter
  ) {
    let isOtherNetwork = configuration.procfsPath != self.configuration.procfsPath
    let isOtherState =
      isOtherNetwork || configuration.stateDirectory != self.configuration.stateDirectory
      || configuration.spoolBytes != self.configuration.spoolBytes
    if isOtherNetwork { policy.forgetUnanswered() }
    if publisher !== self.publisher { hasConnectedAtStart = false }
    if configuration.interval != self.configuration.interval
      || configuration.minimumInterval != self.configuration.minimumInterval
    {
      commands.interval = nil
    }
    self.configuration = configuration
    self.publisher = publisher
    self.time = time
    reporter.resume(
      with: configuration.collector(log: log, or: time.shutdownSignal), limits: configuration.limits,
      keepsBaseline: !isOtherNetwork)
    if isOtherState {
      state = configuration.stateKeeper(log: log)
      openState()
    }
    configureDetection()
    isResumed = true
  }

  /// Loads the saved state and continues from it, if the state directory can be opened now.
  mutating func openState(patience: Duration = .zero) {
    guard let saved = state.open(at: time, patience: patience) else { return }
    restoreDetection()
    if reporter.adopt(saved.baseline, lastReportID: saved.lastReportID) {
      // The unanswered report's deltas weren't computed against the saved baseline, so an acceptance of it doesn't cover
      // all traffic since then.
      policy.forgetUnanswered()
    }
    policy.answeredThing = policy.answeredThing ?? saved.answeredThing
  }

  /// Saves the state from which the next process continues.
  ///
  /// `baselineIfSpooled` is the baseline that includes the last report, if that report may get into the spool.
  mutating func saveState(baselineIfSpooled: Baseline? = nil) {
    var saved = SavedState(
      lastReportID: reporter.lastReportID, baseline: reporter.baseline, answeredThing: policy.answeredThing)
    saved.baselineIfSpooled = baselineIfSpooled
    state.save(saved, at: time)
  }

  /// Makes and publishes the reports of `plan`, and returns the counts and why the run ended.
  ///
  /// The run ends when the plan's reports are made, when no further report would fit before `end`, or when a signal or a
  /// changed configuration ends a wait. ``BootTime/distantFuture`` means no deadline. Throws if the configured topic can't be
  /// published to.
  package mutating func run(_ plan: ReportPlan, until end: BootTime) throws(TopicError) -> ReportOutcome {
    var work = try ReportWork(plan, configuration)
    warn(about: work)
    if let wanted = commands.interval { work.interval = configuration.effectiveInterval(wanted: wanted) }
    let isFirstSampleKept = configuration.beginsWithBaseline && reporter.baseline == nil && !work.isDryRun
    if isFirstSampleKept {
      let first = sample(before: end)
      reporter.begin(with: first)
      // Otherwise each restart within the first interval would lose the traffic counted before it.
      saveState()
    }
    connectAtStart(for: work, before: end)
    var outcome = ReportOutcome(topic: work.topic.name, transport: configuration.transport.name)
    if usesSpool(work) { noteSpool(in: &outcome) } else { status?.waiting = 0 }
    let first = firstReport(of: work, before: end, afterInterval: isFirstSampleKept)
    var schedule = ReportSchedule(interval: work.interval, first: first)
    var cycleTime = Self.leastCycleTime
    var dryBaseline: Baseline?
    var made = 0
    while true {
      // The first report may use all the remaining time. A later one starts only if the slowest cycle so far would fit.
      if schedule.next.advanced(by: made == 0 ? .zero : cycleTime) > end {
        outcome.ended = .deadline
        break
      }
      let wake = waitForReport(&schedule, &work, before: end, into: &outcome)
      guard wake == .onTime else {
        outcome.ended = wake == .interrupted ? .configurationChanged : .signal
        break
      }
      let start = time.bootTime
      var wasThrottled = false
      if work.isDryRun {
        dryBaseline = makeDryRun(work, before: end, since: dryBaseline, into: &outcome)
      } else {
        let before = outcome
        wasThrottled = publish(work, before: end, into: &outcome)
        noteResult(outcome, since: before)
        saveState()
      }
      made += 1
      lastDue = schedule.next
      let now = time.bootTime
      cycleTime = max(cycleTime, start.duration(to: now))
      if made == work.reports {
        publishWaiting(work, after: lastDue ?? now, before: end, into: &outcome)
        break
      }
      schedule.advance(past: now)
      if wasThrottled { moveOn(&schedule) }
      returnFreeMemory()
    }
    if made == 0, outcome.ended == .deadline {
      outcome.lastError = "the deadline left no time for a report; give the function a longer timeout"
    }
    return outcome
  }

  /// Returns when the first report of a run is due.
  ///
  /// A resumed run continues one interval after the last report. Otherwise the report is due at once, or one interval after
  /// a sample that only became the baseline. If the plan doesn't limit the number of reports and nothing has been published
  /// yet, the report is due at this thing's slot instead.
  private mutating func firstReport(of work: ReportWork, before end: BootTime, afterInterval: Bool)
    -> BootTime
  {
    let now = time.bootTime
    defer { isResumed = false }
    if isResumed, let lastDue {
      return max(now, lastDue.advanced(by: work.interval))
    }
    let unspread = afterInterval ? now.advanced(by: work.interval) : now
    guard work.reports == nil, !hasPublished else { return unspread }
    let room = now.duration(to: end) - Self.leastCycleTime
    // If the deadline comes before the interval ends, the slot lies within the time left, so that each run makes a report.
    let isRoomy = room >= work.interval * 2
    let firstReport = FirstReport(
      interval: max(.zero, min(work.interval, room)), lastReportID: isRoomy ? reporter.lastReportID : 0,
      now: time.wallTime)
    guard configuration.isSpread, let thing = configuration.thingName else {
      return max(unspread, firstReport.dueUnspread(from: now))
    }
    let first = firstReport.due(from: now, thing: thing)
    log.info(
      "First report in \(Int(now.duration(to: first).inSeconds)) s. Starts are spread across the fleet; DEFENDER_JITTER=0 "
        + "turns that off.")
    return first
  }

  mutating func moveOn(_ schedule: inout ReportSchedule) {
    schedule.moveOn(using: &random)
    // A new configuration or a commanded interval must not cancel the delay.
    lastDue = schedule.previous
    log.info(
      "The last report was throttled. Next report in \(Int(time.bootTime.duration(to: schedule.next).inSeconds)) s."
    )
  }

  /// Takes a snapshot within at most half of the time left before `end`, because publishing needs the rest.
  mutating func sample(before end: BootTime) -> MetricsSnapshot {
    detector?.readChangedProfiles()
    if let sets = detector?.completeSets { reporter.keepCompleteSets(sets) }
    // The collector waits for the kernel and for programs, so its deadline is on the system's clock, not on `time`.
    return reporter.snapshot(until: .now.advanced(by: time.bootTime.duration(to: end) / 2))
  }

  /// Makes a report without publishing it, and returns the baseline of the next dry run.
  ///
  /// Dry runs have a separate baseline, because the traffic that they show still has to be published.
  private mutating func makeDryRun(
    _ work: ReportWork, before end: BootTime, since baseline: Baseline?, into outcome: inout ReportOutcome
  ) -> Baseline {
    let snapshot = sample(before: end)
    let draft = reporter.draft(of: snapshot, at: time.wallTime, since: baseline)
    let payload = draft.report.encoded(as: work.format, names: work.names)
    outcome.dryRunReport = ReportOutcome.Document(bytes: payload, format: work.format)
    outcome.lastReportID = draft.report.id
    return draft.nextBaseline
  }

  private mutating func warn(about work: ReportWork) {
    if work.interval != work.wantedInterval, work.reports != 1, !hasWarnedOfInterval {
      hasWarnedOfInterval = true
      log.warn(raiseOfInterval(from: work.wantedInterval, to: work.interval))
    }
    if configuration.acknowledgement == .accepted, !work.topic.isDeviceDefenders, !hasWarnedOfOwnTopic {
      hasWarnedOfOwnTopic = true
      log.warn(
        "DEFENDER_ACKNOWLEDGE is 'accepted', but no service answers reports to \(work.topic.name). "
          + "Reports count as acknowledged when they are published.")
    }
    if configuration.spoolBytes > 0, work.topic.isDeviceDefenders, !hasWarnedOfSpool {
      hasWarnedOfSpool = true
      log.warn(
        "DEFENDER_SPOOL_BYTES has no effect on reports to Device Defender, which takes one report per 300 s. Each report "
          + "includes the traffic of unsent ones. Set DEFENDER_TOPIC to your own topic to keep unsent reports."
      )
    }
    if !configuration.transport.supportsReservedTopics, work.topic.isDeviceDefenders,
      !hasWarnedOfReservedTopic,
      !work.isDryRun
    {
      hasWarnedOfReservedTopic = true
      log.warn(
        "AWS documents that Device Defender's reserved topics accept only MQTT, but the transport is "
          + "\(configuration.transport.name). Set DEFENDER_TRANSPORT to mqtt, or DEFENDER_TOPIC to your own topic, such as "
          + "'defender/{thing}/{format}'."
      )
    }
  }
}

/// Returns the sentence about an interval that was raised to the minimum.
func raiseOfInterval(from wanted: Duration, to interval: Duration) -> String {
  "Raised the interval from \(wanted.inWords) to \(interval.inWords): Device Defender throttles reports that are more "
    + "frequent than one in 300 s. For other topics, lower DEFENDER_MINIMUM_INTERVAL_SECONDS."
}
