import DeviceDefender
package import Platform

/// Samples this machine's network metrics and publishes them as Device Defender reports, one each interval.
///
/// Long-lived: the baseline and the last report id live as long as the process, across calls of ``run(_:until:)``. The
/// baseline moves only when a report was acknowledged, so the next report includes what a lost one would have said.
package struct ReportLoop: ~Copyable {
  /// A cycle is expected to take no less than this, until one has taken longer.
  private static let leastCycleTime = Duration.seconds(1)

  var configuration: Configuration
  var publisher: any Publisher
  var time: any Waiter
  let log: Log
  var reporter: Reporter
  var policy = BaselinePolicy()
  /// Where in the interval a thing goes whose report was throttled.
  private var random: any RandomNumberGenerator
  /// Keeps the baseline and the last report id across restarts.
  private var state: StateKeeper
  var hasPublished = false
  /// When the last report was due.
  private var lastDue: BootTime?
  /// Whether the next loop goes on where the last one ended.
  private var isResumed = false
  /// Failures, of which the same is told every few minutes and no more.
  var failures = RepeatFilter(interval: .seconds(240))
  private var hasWarnedOfReservedTopic = false
  private var hasWarnedOfInterval = false
  private var hasWarnedOfOwnTopic = false

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
    // At a restart, the process before may still be stopping.
    openState(patience: .seconds(2))
  }

  /// Has the next loop go on with another configuration: an interval after the last report, with the same baseline.
  package mutating func resume(
    with configuration: Configuration, publisher: any Publisher, time: any Waiter
  ) {
    let isOtherNetwork = configuration.procfsPath != self.configuration.procfsPath
    let isOtherState = isOtherNetwork || configuration.stateDirectory != self.configuration.stateDirectory
    if isOtherNetwork { policy.forgetUnanswered() }
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
    isResumed = true
  }

  /// Continues from the saved state once it can be opened.
  mutating func openState(patience: Duration = .zero) {
    guard let saved = state.open(at: time, patience: patience) else { return }
    if reporter.adopt(saved.baseline, lastReportID: saved.lastReportID) {
      // The unanswered report didn't count from the saved baseline, so its answer doesn't cover all traffic since that.
      policy.forgetUnanswered()
    }
    policy.answeredThing = policy.answeredThing ?? saved.answeredThing
  }

  /// Saves what the next process continues from.
  mutating func saveState() {
    state.save(
      SavedState(
        lastReportID: reporter.lastReportID, baseline: reporter.baseline, answeredThing: policy.answeredThing),
      at: time)
  }

  /// Makes and publishes reports as `plan` says, until `end`; for ever if that is ``BootTime/distantFuture``.
  ///
  /// Throws if the configured topic can't be published to.
  package mutating func run(_ plan: ReportPlan, until end: BootTime) throws(TopicError) -> ReportOutcome {
    let work = try ReportWork(plan, configuration)
    warn(about: work)
    let isFirstSampleKept = configuration.beginsWithBaseline && reporter.baseline == nil && !work.isDryRun
    if isFirstSampleKept {
      let first = sample(before: end)
      reporter.begin(with: first)
      // Restarts within the first interval would each lose what was counted before them.
      saveState()
    }
    var outcome = ReportOutcome(topic: work.topic.name, transport: configuration.transport.name)
    let first = firstReport(of: work, before: end, afterInterval: isFirstSampleKept)
    var schedule = ReportSchedule(interval: work.interval, first: first)
    var cycleTime = Self.leastCycleTime
    var dryBaseline: Baseline?
    var made = 0
    while true {
      // The first report may take what time there is; a later one has to fit with room to spare.
      if schedule.next.advanced(by: made == 0 ? .zero : cycleTime) > end {
        outcome.ended = .deadline
        break
      }
      let wake = time.wait(until: schedule.next)
      guard wake == .onTime else {
        outcome.ended = wake == .interrupted ? .configurationChanged : .signal
        break
      }
      let start = time.bootTime
      var wasThrottled = false
      if work.isDryRun {
        dryBaseline = makeDryRun(work, before: end, since: dryBaseline, into: &outcome)
      } else {
        wasThrottled = publish(work, before: end, into: &outcome)
        saveState()
      }
      made += 1
      lastDue = schedule.next
      let now = time.bootTime
      cycleTime = max(cycleTime, start.duration(to: now))
      if made == work.reports { break }
      schedule.advance(past: now)
      if wasThrottled { moveOn(&schedule) }
      returnFreeMemory()
    }
    if made == 0, outcome.ended == .deadline {
      outcome.lastError = "the deadline left no time for a report; give the function a longer timeout"
    }
    return outcome
  }

  /// When the first report is due: at once, or an interval after a sample that only began the deltas, or in a loop
  /// without an end at this thing's share of the interval.
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
    // Where the deadline comes first, the share is taken of the time that there is: no invocation without a report.
    let isRoomy = room >= work.interval * 2
    let firstReport = FirstReport(
      interval: max(.zero, min(work.interval, room)), lastReportID: isRoomy ? reporter.lastReportID : 0,
      now: time.wallTime)
    guard configuration.isSpread, let thing = configuration.thingName else {
      return max(unspread, firstReport.dueUnspread(from: now))
    }
    let first = firstReport.due(from: now, thing: thing)
    log.info("The first report is due in \(Int(now.duration(to: first).inSeconds)) s (DEFENDER_JITTER).")
    return first
  }

  private mutating func moveOn(_ schedule: inout ReportSchedule) {
    schedule.moveOn(using: &random)
    log.info(
      "The report was throttled; the next one is due in \(Int(time.bootTime.duration(to: schedule.next).inSeconds)) s."
    )
  }

  /// Takes a snapshot for at most half of the time that is left before `end`: the report still has to be published.
  mutating func sample(before end: BootTime) -> MetricsSnapshot {
    // The collector waits for the kernel and for programs, by the system's clock.
    reporter.snapshot(until: .now.advanced(by: time.bootTime.duration(to: end) / 2))
  }

  /// Makes a report that is only shown, and returns the baseline of the next one.
  ///
  /// A dry run has a separate baseline, because traffic that is only shown has yet to be published.
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
      log.warn(
        "An interval of \(work.wantedInterval.inWords) is raised to \(work.interval.inWords): Device "
          + "Defender throttles below 300 s. DEFENDER_MINIMUM_INTERVAL_SECONDS lowers the floor for other topics."
      )
    }
    if configuration.acknowledgement == .accepted, !work.topic.isDeviceDefenders, !hasWarnedOfOwnTopic {
      hasWarnedOfOwnTopic = true
      log.warn(
        "DEFENDER_ACKNOWLEDGE is 'accepted', but nobody answers reports to \(work.topic.name): they count as "
          + "acknowledged when they are published.")
    }
    if !configuration.transport.takesReservedTopics, work.topic.isDeviceDefenders, !hasWarnedOfReservedTopic,
      !work.isDryRun
    {
      hasWarnedOfReservedTopic = true
      log.warn(
        "AWS documents that Device Defender's reserved topics accept MQTT publishes only, and this transport is "
          + "\(configuration.transport.name). Set DEFENDER_TRANSPORT to mqtt, or DEFENDER_TOPIC to a topic of your own, such as "
          + "'defender/{thing}/{format}'."
      )
    }
  }
}
