package import AWSClient
import DeviceDefender
import HTTPClient
package import LambdaRuntime
package import Platform
import WireFormats

/// `function_handler`: samples this machine's network metrics and publishes them as Device Defender reports.
///
/// Made to stay: the baseline of the deltas and the last report id live as long as the process, across invocations.
/// The baseline moves only when a report was acknowledged, so what a lost report would have told is in the next one.
package struct PublishMetricsHandler: Handler, ~Copyable {
  /// What an invocation keeps free before its deadline, to answer in.
  static let answerMargin = Duration.milliseconds(500)
  /// A cycle is expected to take no less than this, until one has taken longer.
  private static let leastCycleTime = Duration.seconds(1)

  private var configuration: Configuration
  private var publisher: any Publisher
  private var time: any TimeKeeper
  private let log: Log
  private var collector: Collector
  private var baseline: Baseline?
  /// Whether the baseline includes a report of this process that was acknowledged.
  private var isBaselineAcknowledged = false
  private var policy = BaselinePolicy()
  private var sequence = ReportSequence()
  /// Where in the interval a thing goes whose report was throttled.
  private var random: any RandomNumberGenerator
  /// Keeps the baseline and the last report id across restarts.
  private var state: StateKeeper
  private var hasPublished = false
  /// When the last report was due.
  private var lastDue: BootTime?
  /// Whether the next loop goes on where the last one ended.
  private var isResumed = false
  /// Failures, of which the same is told every few minutes and no more.
  private var failures = RepeatFilter(interval: .seconds(240))
  private var hasWarnedOfReservedTopic = false
  private var hasWarnedOfInterval = false
  private var hasWarnedOfOwnTopic = false

  package init(
    _ configuration: Configuration, publisher: any Publisher, time: any TimeKeeper, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.configuration = configuration
    self.random = random
    self.publisher = publisher
    self.time = time
    self.log = log
    collector = configuration.collector(log: log, or: time.shutdownSignal)
    state = configuration.stateKeeper(log: log)
    // At a restart, the process before may still be stopping.
    openState(patience: .seconds(2))
  }

  /// Has the next loop go on with another configuration: an interval after the last report, with the same baseline.
  package mutating func resume(
    with configuration: Configuration, publisher: any Publisher, time: any TimeKeeper
  ) {
    let isOtherNetwork = configuration.procfsPath != self.configuration.procfsPath
    let isOtherState = isOtherNetwork || configuration.stateDirectory != self.configuration.stateDirectory
    // The counters of another network say nothing about what this one has counted since.
    if isOtherNetwork {
      baseline = nil
      isBaselineAcknowledged = false
      policy.forgetUnanswered()
    }
    self.configuration = configuration
    self.publisher = publisher
    self.time = time
    collector = configuration.collector(log: log, or: time.shutdownSignal)
    if isOtherState {
      state = configuration.stateKeeper(log: log)
      openState()
    }
    isResumed = true
  }

  /// Continues from the saved state once it can be opened.
  ///
  /// What this process acknowledged has precedence. A baseline that is only its first sample has not: the traffic before
  /// that sample is in no report yet.
  private mutating func openState(patience: Duration = .zero) {
    guard let saved = state.open(at: time, patience: patience) else { return }
    sequence = ReportSequence(last: max(sequence.last, saved.lastReportID))
    adopt(saved.baseline)
    policy.answeredThing = policy.answeredThing ?? saved.answeredThing
  }

  private mutating func adopt(_ saved: Baseline?) {
    guard let saved else { return }
    guard let baseline else { return self.baseline = saved }
    if isBaselineAcknowledged {
      self.baseline = baseline.completed(by: saved)
    } else {
      self.baseline = saved.completed(by: baseline)
      // The unanswered report counted from this process's own sample, so its answer doesn't cover the traffic before that.
      policy.forgetUnanswered()
    }
  }

  /// Saves what the next process continues from.
  private mutating func saveState() {
    state.save(
      SavedState(lastReportID: sequence.last, baseline: baseline, answeredThing: policy.answeredThing),
      at: time)
  }

  package mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let work = try Work(PublishEvent(parsing: event.bytes), configuration)
    let remaining = time.wallTime.duration(to: context.deadline)
    return try run(work, until: time.bootTime.advanced(by: remaining))
  }

  /// What one invocation does: the event, completed by the configuration.
  private struct Work {
    let reports: Int?
    let interval: Duration
    let wantedInterval: Duration
    let format: ReportFormat
    let names: ReportNames
    let isDryRun: Bool
    let topic: Topic

    init(_ event: PublishEvent, _ configuration: Configuration) throws {
      reports = event.reports
      wantedInterval = event.interval ?? configuration.interval
      interval = max(wantedInterval, configuration.minimumInterval)
      format = event.format ?? configuration.format
      names = event.names ?? configuration.names
      isDryRun = event.isDryRun
      topic = try configuration.topic(for: format)
    }
  }

  private mutating func run(_ work: Work, until deadline: BootTime) throws(InvocationFailure) -> Response {
    warn(about: work)
    let isFirstSampleKept = configuration.beginsWithBaseline && baseline == nil && !work.isDryRun
    let end = deadline.advanced(by: .zero - Self.answerMargin)
    if isFirstSampleKept {
      baseline = Baseline(sample(before: end))
      // Restarts within the first interval would each lose what was counted before them.
      saveState()
    }
    var summary = InvocationSummary(topic: work.topic.name, transport: configuration.transport.name)
    let first = firstReport(of: work, before: end, afterInterval: isFirstSampleKept)
    var schedule = ReportSchedule(interval: work.interval, first: first)
    var cycleTime = Self.leastCycleTime
    var dryBaseline: Baseline?
    var made = 0
    while true {
      // The first report may take what time there is; a later one has to fit with room to spare.
      if schedule.next.advanced(by: made == 0 ? .zero : cycleTime) > end {
        summary.ended = .deadline
        break
      }
      if time.sleep(until: schedule.next) == .shutdown {
        summary.ended = .signal
        break
      }
      let start = time.bootTime
      var wasThrottled = false
      if work.isDryRun {
        dryBaseline = makeDryRun(work, before: end, since: dryBaseline, into: &summary)
      } else {
        wasThrottled = publish(work, before: end, into: &summary)
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
    if made == 0, summary.ended == .deadline {
      summary.lastError = "the deadline left no time for a report; give the function a longer timeout"
    }
    if summary.published == 0, let error = summary.lastError {
      throw InvocationFailure(
        type: "Function.PublishFailed",
        message: "no report was published (\(summary.failed) failed): \(error)")
    }
    return summary.response
  }

  /// When the first report is due: at once, or an interval after a sample that only began the deltas, or in a loop
  /// without an end at this thing's share of the interval.
  private mutating func firstReport(of work: Work, before end: BootTime, afterInterval: Bool) -> BootTime {
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
      interval: max(.zero, min(work.interval, room)), lastReportID: isRoomy ? sequence.last : 0,
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
  private mutating func sample(before end: BootTime) -> MetricsSnapshot {
    // The collector waits for the kernel and for programs, by the system's clock.
    collector.snapshot(until: .now.advanced(by: time.bootTime.duration(to: end) / 2))
  }

  /// Makes a report and publishes it; returns whether it was throttled.
  private mutating func publish(
    _ work: Work, before end: BootTime, into summary: inout InvocationSummary
  ) -> Bool {
    openState()
    let confirmer = publisher as? any ReportConfirmer
    takeLateConfirmation(confirmer, into: &summary)
    let snapshot = sample(before: end)
    let id = sequence.next(at: time.wallTime)
    let report = Report(id: id, snapshot: snapshot, baseline: baseline, limits: configuration.limits)
    guard !report.isEmpty else {
      // Counters alone make no first report, and yet they are what the next one counts from.
      if baseline == nil { acknowledge(snapshot) }
      summary.failed += 1
      summary.lastError = "no metric could be read; the log says why"
      return false
    }
    let payload = report.encoded(as: work.format, names: work.names)
    // Reserves the id: however this process ends, the next one gives it to no other report.
    saveState()
    let limit = min(end, time.bootTime.advanced(by: configuration.publishTimeout))
    confirmer?.announce(reportID: id)
    do throws(PublishError) {
      let receipt = try publisher.publish(payload, to: work.topic, qos: .atLeastOnce, until: limit)
      hasPublished = true
      summary.published += 1
      summary.lastReportID = id
      log.info("Published report \(id), \(payload.count) bytes, to \(work.topic.name): \(receipt).")
      let confirmationLimit = min(end, time.bootTime.advanced(by: configuration.confirmationTime))
      let confirmation = confirmer?.confirmation(of: id, until: confirmationLimit)
      settle(id, snapshot, confirmation, provesDelivery: confirmer?.provesDelivery ?? true)
      if let confirmation { note(confirmation, of: id, in: &summary) }
      return confirmation?.isThrottling ?? false
    } catch {
      summary.failed += 1
      summary.lastError = "\(error)"
      note(error, of: id)
      return error.isThrottling
    }
  }

  private mutating func note(_ error: PublishError, of id: UInt64) {
    let text = "Report \(id) was not published: \(error)"
    if error.isOfStop {
      // Nothing that an operator could mend, and nothing is lost: the next report tells it.
      log.info(text)
    } else if failures.allows("\(error)", at: time.bootTime) {
      log.error(text)
    } else {
      log.debug(text)
    }
  }

  private mutating func note(
    _ confirmation: ReportConfirmation, of id: UInt64, in summary: inout InvocationSummary
  ) {
    switch confirmation {
    case .accepted:
      summary.confirmations.accepted += 1
      log.info("Device Defender accepted report \(id).")
    case .rejected(let code, let message):
      summary.confirmations.rejected += 1
      summary.lastError = "Device Defender rejected report \(id): \(code): \(message)"
      log.error("Device Defender rejected report \(id): \(code): \(message).")
    case .unanswered:
      summary.confirmations.unanswered += 1
      log.warn(
        "Device Defender didn't answer report \(id) within \(configuration.confirmationTime.inWords).")
    case .unavailable(let reason):
      summary.confirmations.unanswered += 1
      let text = "Device Defender's answers can't be received: \(sentence(reason))"
      // The transport has logged it, too, with what to do.
      if failures.allows(text, at: time.bootTime) { log.info(text) }
    case .stopped:
      summary.confirmations.unanswered += 1
      log.info("Asked to stop before Device Defender answered report \(id).")
    }
  }

  /// Moves the baseline on for report `id`, or keeps it until Device Defender answers.
  private mutating func settle(
    _ id: UInt64, _ snapshot: MetricsSnapshot, _ confirmation: ReportConfirmation?, provesDelivery: Bool
  ) {
    let context = BaselinePolicy.Context(
      acknowledgement: configuration.acknowledgement, provesDelivery: provesDelivery,
      thing: configuration.thingName)
    if policy.movesBaseline(confirmation, context) {
      policy.forgetUnanswered()
      acknowledge(snapshot)
      isBaselineAcknowledged = true
    } else if confirmation?.isRejection != true {
      var later = baseline ?? Baseline()
      later.advance(to: snapshot)
      if policy.hold(id, later) { warnOfRepetition(confirmation) }
    }
  }

  /// Moves the baseline on for a report that Device Defender accepted after the wait for its answer had ended.
  private mutating func takeLateConfirmation(
    _ confirmer: (any ReportConfirmer)?, into summary: inout InvocationSummary
  ) {
    guard let unanswered = policy.unanswered,
      let confirmation = confirmer?.lateConfirmation(of: unanswered.id)
    else { return }
    let context = BaselinePolicy.Context(
      acknowledgement: configuration.acknowledgement, provesDelivery: true, thing: configuration.thingName)
    if policy.movesBaseline(confirmation, context) {
      baseline = unanswered.baseline
      isBaselineAcknowledged = true
    }
    guard summary.confirmations.unanswered > 0 else {
      // The report was made by an earlier invocation, whose summary has been sent.
      var earlier = summary
      note(confirmation, of: unanswered.id, in: &earlier)
      return
    }
    summary.confirmations.unanswered -= 1
    note(confirmation, of: unanswered.id, in: &summary)
  }

  private func warnOfRepetition(_ confirmation: ReportConfirmation?) {
    let cause =
      if case .unavailable(let reason) = confirmation {
        "answers can't be received: \(reason)"
      } else {
        "the device is offline, or its policy lacks iot:Publish, iot:Subscribe or iot:Receive on Device Defender's topics"
      }
    log.warn(
      "Device Defender hasn't answered the last reports, so each one repeats the traffic that those before it "
        + "reported. The likely cause: \(sentence(cause))")
  }

  /// Moves the baseline on: what `snapshot` counted has been told.
  private mutating func acknowledge(_ snapshot: MetricsSnapshot) {
    guard baseline != nil else {
      baseline = Baseline(snapshot)
      return
    }
    baseline?.advance(to: snapshot)
  }

  /// Makes a report that is only shown. Its baseline is its own: what nobody was told still has to be told.
  private mutating func makeDryRun(
    _ work: Work, before end: BootTime, since baseline: Baseline?, into summary: inout InvocationSummary
  ) -> Baseline {
    let snapshot = sample(before: end)
    let id = sequence.next(at: time.wallTime)
    let report = Report(
      id: id, snapshot: snapshot, baseline: baseline ?? self.baseline, limits: configuration.limits)
    let payload = report.encoded(as: work.format, names: work.names)
    summary.dryRunReport =
      switch work.format {
      case .json: String(decoding: payload, as: UTF8.self)
      case .cbor: "\"\(base64(payload))\""
      }
    summary.lastReportID = id
    return Baseline(snapshot)
  }

  private mutating func warn(about work: Work) {
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
