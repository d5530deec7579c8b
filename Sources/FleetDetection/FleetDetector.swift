import Detection
package import Platform
import WireFormats

/// Evaluates the reports of a fleet, with the states of the things in a store.
///
/// Any number of processes may do so at the same time. A state is written only if it still is the one that was read, together with
/// the events that follow from it. A process that stops between that write and the delivery leaves the events in the item, and the
/// next one delivers them.
package final class FleetDetector {
  /// How often `seen` is written if nothing else changes.
  private static let longestSeenInterval: Int64 = 3_600_000
  /// The number of seconds by which the last violation of an active alarm may be newer than the stored one. Each report of a thing with
  /// an alarm would write the item otherwise.
  private static let alarmPatience: UInt64 = 900
  /// How long an undelivered event is left to the process that wrote it.
  static let outboxPatience: Int64 = 60_000
  /// How long the sweep tries to deliver the events of a removed profile, in milliseconds.
  static let removedProfilePatience: Int64 = 86_400_000
  /// The size of an outbox above which no report of its thing is evaluated, because DynamoDB's items have at most 400 KB.
  static let outboxLimit = 100_000

  let store: any FleetStore
  let delivery: any EventDelivery
  let catalog: ProfileCatalog
  /// The number of milliseconds without a report after which a thing is silent; nil if silence raises no alarm.
  let silence: Int64?
  /// The number of milliseconds after a write at which the alarms of an item end, because the store will remove it a day later.
  let longestAlarm: Int64
  let time: any Waiter
  let log: Log
  var cache = SketchCache()

  /// Creates a detector. With `silence`, a thing that sends no report for so long raises an alarm. The store removes items that aren't
  /// written for `retention`.
  package init(
    _ store: any FleetStore, _ delivery: any EventDelivery, _ catalog: ProfileCatalog,
    silence: Duration? = nil, retention: Duration = .seconds(30 * 86_400), time: any Waiter, log: Log
  ) {
    longestAlarm = Int64(retention.inSeconds * 1_000) - 86_400_000
    self.store = store
    self.delivery = delivery
    self.catalog = catalog
    self.silence = silence.map { Int64($0.inSeconds * 1_000) }
    self.time = time
    self.log = log
  }

  /// The targets of events that failed since the batch or the sweep began. Each of them would use up the time again.
  var unavailableTargets: Set<String> = []

  /// How often `seen` is written if nothing else changes, in milliseconds.
  var seenInterval: Int64 { min(Self.longestSeenInterval, (silence ?? .max) / 2) }

  /// The records of one thing under one profile, those that aren't evaluated yet.
  struct Work {
    let key: StateItem.Key
    let profile: FleetProfile
    var records: [(position: Int, observation: Observation)] = []
    /// The number of writes that found a changed item.
    var conflicts = 0
    /// The result whose write found a changed item last.
    var attempted: Result?
  }

  /// The time now in milliseconds since the epoch.
  var now: Int64 { time.wallTime.nanosecondsSinceEpoch / 1_000_000 }

  /// Evaluates a batch. Each body is a record's JSON.
  package func process(_ bodies: [[UInt8]], until deadline: BootTime) throws(StoreError) -> BatchOutcome {
    try catalog.refresh(until: deadline)
    unavailableTargets = []
    var outcome = BatchOutcome()
    var pending = sort(bodies, &outcome)[...]
    var backoff = Backoff(first: .milliseconds(20), cap: .seconds(1), jitter: 1)
    while !pending.isEmpty {
      let batch = Array(pending.prefix(100))
      pending = pending.dropFirst(batch.count)
      do throws(StoreError) {
        let rest = try round(batch, &outcome, until: deadline)
        if rest.contains(where: { $0.conflicts > 0 }) { try pause(&backoff, until: deadline) }
        pending += rest
      } catch {
        // A store that fails for one thing fails for the others; waiting for each would only use up the time.
        for work in batch + pending {
          for record in work.records { outcome.failures[record.position] = .unavailable("\(error)") }
        }
        log.error("Reports aren't evaluated and must be delivered again. \(error)")
        pending = []
      }
    }
    outcome.countReports(of: bodies.count)
    return outcome
  }

  private func pause(_ backoff: inout Backoff, until deadline: BootTime) throws(StoreError) {
    var generator = SystemRandomNumberGenerator()
    let end = time.bootTime.advanced(by: backoff.next(using: &generator))
    guard end < deadline, time.wait(until: end) == .onTime else {
      throw StoreError("No time was left: other processes changed the same things again and again.", .time)
    }
  }

  /// Groups the records by thing and profile, in the order of their report ids: a queue may change the order.
  private func sort(_ bodies: [[UInt8]], _ outcome: inout BatchOutcome) -> [Work] {
    var groups: [Work] = []
    var indexes: [StateItem.Key: Int] = [:]
    groups.reserveCapacity(bodies.count)
    indexes.reserveCapacity(bodies.count)
    for (position, body) in bodies.enumerated() {
      do {
        let record = try FleetRecord(body: body)
        let profiles = catalog.profiles.filter { $0.applies(to: record.thing) }
        if profiles.isEmpty { outcome.unmatched.insert(position) }
        var observations: [(FleetProfile, Observation)] = []
        for profile in profiles {
          observations.append(
            (
              profile,
              try profile.decoder.observation(record.report, thing: record.thing, time: record.time)
            ))
        }
        for (profile, observation) in observations {
          let key = StateItem.Key(thing: record.thing, profile: profile.name)
          let index = indexes[key] ?? groups.count
          if index == groups.count {
            indexes[key] = index
            groups.append(Work(key: key, profile: profile))
          }
          groups[index].records.append((position, observation))
        }
      } catch {
        outcome.failures[position] = .malformed(reason(error))
      }
    }
    for index in groups.indices {
      groups[index].records.sort {
        ($0.observation.reportID, $0.position) < ($1.observation.reportID, $1.position)
      }
    }
    return groups
  }

  /// Returns why a record can't be evaluated, without its contents.
  private func reason(_ error: any Error) -> String {
    (error as? ReportError).map { "\(FleetRecordError($0))" } ?? "\(error)"
  }
}

extension FleetDetector {
  /// Evaluates the records of at most 100 things and profiles. Returns what must be tried again.
  private func round(
    _ batch: [Work], _ outcome: inout BatchOutcome, until deadline: BootTime
  ) throws(StoreError) -> [Work] {
    guard time.bootTime < deadline else { throw StoreError("No time was left.", .time) }
    var stored: [StateItem.Key: StateItem] = [:]
    stored.reserveCapacity(batch.count)
    for item in try store.items(batch.map(\.key), until: deadline) { stored[item.key] = item }
    var progress = Progress()
    progress.sketches = try sketches(for: batch, stored, until: deadline)
    var failure: StoreError?
    for work in batch {
      do throws(StoreError) {
        try finish(work, stored[work.key] ?? StateItem(work.key), &progress, &outcome, until: deadline)
      } catch {
        if error.scope == .item {
          fail(work, "\(error)", &outcome)
          continue
        }
        failure = error
        break
      }
    }
    add(progress.contributions, until: deadline)
    // What was saved is delivered also if the store fails now.
    deliver(progress.saved, &outcome.counts, until: deadline)
    if let failure { throw failure }
    refresh(progress.unchanged, until: deadline)
    return progress.rest
  }

  /// What a round has done so far.
  private struct Progress {
    /// The sketches that were read.
    var sketches: [SketchKey: PercentileSketch] = [:]
    /// The values to add to sketches.
    var contributions: [SketchKey: PercentileSketch] = [:]
    /// The items whose events must be delivered.
    var saved: [StateItem] = []
    /// The items of which only the time must be written.
    var unchanged: [StateItem] = []
    /// An evaluator of each profile, which continues from one thing's state after another.
    var evaluators: [String: Evaluator] = [:]
    /// What must be tried again.
    var rest: [Work] = []
  }

  /// Evaluates the records of a thing, and writes its state if it changes.
  private func finish(
    _ work: Work, _ item: StateItem, _ progress: inout Progress, _ outcome: inout BatchOutcome,
    until deadline: BootTime
  ) throws(StoreError) {
    guard item.outboxSize < Self.outboxLimit else {
      progress.saved.append(item)
      fail(work, "Its earlier events couldn't be delivered.", &outcome)
      return
    }
    // The answer to a write can be lost, and the retry then finds the write itself.
    let isOwnWrite = work.attempted.map { $0.saved == item } ?? false
    let result =
      isOwnWrite
      ? work.attempted ?? Result(item: item)
      : evaluate(
        work, item, progress.sketches,
        &progress.evaluators[work.key.profile, default: work.profile.evaluator])
    guard result.isChanged else {
      outcome.add(result)
      if let refreshed = result.refreshed { progress.unchanged.append(refreshed) }
      if result.mustDeliver { progress.saved.append(item) }
      return
    }
    var again = work
    let isSaved = if isOwnWrite { true } else { try store.save(result.item, until: deadline) }
    if isSaved {
      outcome.add(result)
      progress.saved.append(result.saved)
      for (key, values) in result.contributions {
        progress.contributions[key, default: PercentileSketch()].merge(values)
      }
      again.records = Array(result.rest)
      again.attempted = nil
      if !result.rest.isEmpty { progress.rest.append(again) }
    } else {
      outcome.counts.conflicts += 1
      again.conflicts += 1
      again.attempted = result
      progress.rest.append(again)
    }
  }

  /// Writes the time of items that didn't change otherwise. Another process may have written a later time meanwhile, and the next
  /// report writes it if this fails.
  private func refresh(_ items: [StateItem], until deadline: BootTime) {
    guard !items.isEmpty else { return }
    do throws(StoreError) {
      _ = try store.saveAll(items, until: deadline)
    } catch {
      log.warn("The times of the last reports can't be written; later reports write them. \(error)")
    }
  }

  private func fail(_ work: Work, _ reason: String, _ outcome: inout BatchOutcome) {
    log.error(
      "Reports of the thing '\(work.key.thing)' under the profile '\(work.key.profile)' must be delivered "
        + "again: \(reason)")
    for record in work.records { outcome.failures[record.position] = .unavailable(reason) }
  }

  /// The result of evaluating the records of a thing.
  struct Result {
    var item: StateItem
    var isChanged = false
    /// The item to write because `seen` is old; nil if it isn't.
    var refreshed: StateItem?
    var mustDeliver = false
    var events: [ViolationEvent] = []
    /// The values of windows that ended.
    var contributions: [SketchKey: PercentileSketch] = [:]
    /// The positions of the records that weren't newer than the last committed one.
    var late: Set<Int> = []
    /// The records that don't fit into the outbox together with those before them.
    var rest: ArraySlice<(position: Int, observation: Observation)> = []

    /// The item as it is stored after the write.
    var saved: StateItem {
      var saved = item
      saved.version += 1
      return saved
    }
  }

  private func evaluate(
    _ work: Work, _ item: StateItem, _ sketches: [SketchKey: PercentileSketch], _ evaluator: inout Evaluator
  ) -> Result {
    let now = now
    var result = Result(item: item)
    evaluator.restart(from: item.state)
    evaluator.sketches = sketches
    let before = evaluator.checkpoint
    let ongoing = evaluateRecords(of: work, &evaluator, &result)
    result.contributions = evaluator.contributions
    if result.late.count < work.records.count, let event = result.item.endOfSilence(at: now, .alarmCleared) {
      result.events.append(event)
      result.item.add([event], of: work.profile)
    }
    result.isChanged = !result.events.isEmpty || !evaluator.isEquivalent(to: before)
    let isDue =
      now - item.seen >= seenInterval
      || item.alarms.contains { alarm in
        ongoing[alarm.id].map { $0.time >= alarm.lastTime + Self.alarmPatience } ?? false
      }
    if result.isChanged || isDue {
      result.item.state = evaluator.state
      (result.item.seen, result.item.updated) = (now, now)
      for index in result.item.alarms.indices {
        if let violation = ongoing[result.item.alarms[index].id] {
          result.item.alarms[index].update(violation)
        }
      }
    }
    if !result.isChanged {
      if isDue, result.late.count < work.records.count { result.refreshed = result.item }
      result.mustDeliver = !item.outbox.isEmpty && now - item.updated >= Self.outboxPatience
    }
    return result
  }

  /// Evaluates the records up to the one that fills the outbox. Returns the violations that changed no alarm, by their ids.
  private func evaluateRecords(
    of work: Work, _ evaluator: inout Evaluator, _ result: inout Result
  ) -> [String: OngoingViolation] {
    var ongoing: [String: OngoingViolation] = [:]
    for (index, record) in work.records.enumerated() {
      let ignored = evaluator.ignoredReports
      let events = evaluator.evaluate(record.observation)
      if evaluator.ignoredReports > ignored { result.late.insert(record.position) }
      for violation in evaluator.ongoing { ongoing[violation.id] = violation }
      if events.isEmpty { continue }
      result.events += events
      result.item.add(events, of: work.profile)
      if result.item.outboxSize >= Self.outboxLimit {
        result.rest = work.records[(index + 1)...]
        break
      }
    }
    return ongoing
  }
}

extension BatchOutcome {
  mutating func add(_ result: FleetDetector.Result) {
    late.formUnion(result.late)
    counts.add(result.events)
  }
}

extension FleetCounts {
  mutating func add(_ events: [ViolationEvent]) {
    for event in events {
      let kind = EventKind(profile: event.profile, behavior: event.behavior.name, type: event.type.rawValue)
      self.events[kind, default: 0] += 1
    }
  }
}

extension StateItem {
  /// The bytes that the events of one report may have together.
  private static let eventBudget = 150_000

  /// Appends the events of one report to the outbox, and updates the active alarms.
  mutating func add(_ events: [ViolationEvent], of profile: FleetProfile?) {
    let limit = min(65_536, max(1_536, Self.eventBudget / max(1, events.count)))
    for event in events {
      let isSuppressed =
        if case .current(let behavior) = event.behavior { behavior.suppressAlerts == true } else { false }
      outbox.append(
        OutboxEntry(event: event.json(within: limit), targets: isSuppressed ? [] : profile?.targets ?? []))
      alarms.removeAll { $0.id == event.id }
      if event.type == .inAlarm { alarms.append(ActiveAlarm(event)) }
    }
  }
}

extension ViolationEvent {
  /// The event as JSON: without the criteria if it would be longer than `limit`, and then without the value.
  fileprivate func json(within limit: Int) -> [UInt8] {
    let json = json(atMost: limit)
    guard json.count > limit else { return json }
    return ViolationEvent(
      id: id, thing: thing, profile: profile,
      behavior: .former(name: behavior.name, metric: behavior.metric), metricValue: nil, type: type,
      time: time
    ).json
  }
}
