import Detection
package import Platform

extension FleetDetector {
  /// Delivers the events that a stopped process left, and invalidates alarms: those of behaviors and profiles that changed or no
  /// longer apply, and those of things that sent no such metric for more than two days. Raises the alarms of silent things.
  ///
  /// What the deadline leaves no time for is done by a later sweep, because the store begins at another place each time. `counts` has what
  /// was done, also if it throws.
  package func sweep(_ counts: inout FleetCounts, until deadline: BootTime) throws(StoreError) {
    try catalog.refresh(until: deadline)
    unavailableTargets = []
    // A part that takes long, or that the store refuses, doesn't keep the other one from its share.
    let left = time.bootTime.duration(to: deadline)
    let end = silence == nil ? deadline : time.bootTime.advanced(by: left / 2)
    var failure = part("active alarms") { () throws(StoreError) in
      try store.visitItemsThatNeedAttention(until: end) { items throws(StoreError) in
        try look(at: items, &counts, until: end)
      }
    }
    if let silence {
      // The last report may be as much newer as `seen` is written late.
      let last = now - silence - seenInterval
      // The alarm of a thing that was seen earlier has ended, and must not begin again.
      let first = now - longestAlarm
      let other = part("silent things") { () throws(StoreError) in
        guard first < last else { return }
        try store.visitItems(seen: first..<last, until: deadline) { items throws(StoreError) in
          try raiseSilence(of: items, &counts, until: deadline)
        }
      }
      failure = failure ?? other
    }
    if let failure { throw failure }
  }

  /// Does a part of the sweep. Returns its error, unless only the time ended.
  private func part(_ name: String, _ work: () throws(StoreError) -> Void) -> StoreError? {
    do throws(StoreError) {
      try work()
      return nil
    } catch {
      guard error.scope == .time else { return error }
      log.warn("The sweep had no time for the rest of the \(name). The next sweep begins at another place.")
      return nil
    }
  }

  /// Invalidates the alarms of some items, and delivers their events.
  private func look(
    at items: [StateItem], _ counts: inout FleetCounts, until deadline: BootTime
  ) throws(StoreError) {
    var kept: [StateItem] = []
    for item in items {
      guard isUndeliverable(item) else {
        kept.append(item)
        continue
      }
      try drop(item, &counts, until: deadline)
    }
    try update(kept, &counts, until: deadline) { item in
      let isAbandoned = !item.outbox.isEmpty && now - item.updated >= Self.outboxPatience
      let events = invalidated(&item)
      return events.isEmpty && !isAbandoned ? nil : events
    }
  }

  /// Whether the events of an item have waited for a day, and no change of the profile can give them another target, because it was
  /// removed. Its alarms ended with its removal.
  private func isUndeliverable(_ item: StateItem) -> Bool {
    !item.outbox.isEmpty && item.alarms.isEmpty && now - item.updated >= Self.removedProfilePatience
      && catalog.isComplete && catalog.profile(item.key.profile) == nil
  }

  /// Removes the events of an item.
  private func drop(
    _ item: StateItem, _ counts: inout FleetCounts, until deadline: BootTime
  ) throws(StoreError) {
    var empty = item
    empty.outbox = []
    guard try save(&empty, &counts, until: deadline) else { return }
    log.error(
      "Drops \(item.outbox.count) events of the thing '\(item.key.thing)' that couldn't be delivered for a day, because "
        + "their profile '\(item.key.profile)' was removed. The history has them.")
  }

  /// Raises an alarm for each of the items, whose things were last seen long ago.
  private func raiseSilence(
    of items: [StateItem], _ counts: inout FleetCounts, until deadline: BootTime
  ) throws(StoreError) {
    try update(items, &counts, until: deadline) { item in
      guard let profile = catalog.profile(item.key.profile), profile.applies(to: item.key.thing) else {
        return nil
      }
      item.silentSince = now
      let event = ViolationEvent(
        silenceOf: item.key, since: now, .inAlarm, at: now,
        seconds: UInt64(clamping: (now - item.seen) / 1_000))
      item.add([event], of: profile)
      return [event]
    }
  }

  /// Writes the items that `change` returns new events for, and delivers the events of those for which it doesn't return nil.
  private func update(
    _ items: [StateItem], _ counts: inout FleetCounts, until deadline: BootTime,
    _ change: (inout StateItem) -> [ViolationEvent]?
  ) throws(StoreError) {
    var waiting: [StateItem] = []
    var failure: StoreError?
    for item in items {
      var item = item
      guard let events = change(&item) else { continue }
      do throws(StoreError) {
        if !events.isEmpty {
          guard try save(&item, &counts, until: deadline) else { continue }
          counts.add(events)
        }
        waiting.append(item)
      } catch {
        failure = error
        break
      }
    }
    deliver(waiting, &counts, until: deadline)
    if let failure { throw failure }
    guard time.bootTime < deadline else { throw StoreError("No time was left.", .time) }
  }

  /// Writes an item. Returns false if a report changed it meanwhile, and the next sweep must look again, or if the store rejects it.
  private func save(
    _ item: inout StateItem, _ counts: inout FleetCounts, until deadline: BootTime
  ) throws(StoreError) -> Bool {
    guard time.bootTime < deadline else { throw StoreError("No time was left.", .time) }
    item.updated = now
    do throws(StoreError) {
      guard try store.save(item, until: deadline) else {
        counts.conflicts += 1
        return false
      }
    } catch {
      guard error.scope == .item else { throw error }
      log.error(
        "The sweep skips the thing '\(item.key.thing)' under the profile '\(item.key.profile)'. \(error)")
      return false
    }
    item.version += 1
    return true
  }

  private func invalidated(_ item: inout StateItem) -> [ViolationEvent] {
    let profile = catalog.profile(item.key.profile)
    // An item must not expire with an alarm, whose end nobody would learn of.
    let isExpiring = now - item.updated >= longestAlarm
    let applies = !isExpiring && profile?.applies(to: item.key.thing) == true
    // A profile that is disabled because of a mistake isn't removed.
    guard applies || isExpiring || catalog.isComplete else { return [] }
    let compiled = applies ? profile?.evaluator : nil
    var evaluator = (compiled ?? Evaluator([])).continued(from: item.state)
    var events = evaluator.invalidateAlarms(of: item.key.thing, at: UInt64(clamping: now))
    if !applies, let event = item.endOfSilence(at: now, .alarmInvalidated) { events.append(event) }
    item.add(events, of: profile)
    item.state = evaluator.state
    return events
  }
}

extension StateItem {
  /// Ends the alarm about missing reports, and returns its event; nil if there is no such alarm.
  mutating func endOfSilence(at now: Int64, _ type: ViolationEvent.EventType) -> ViolationEvent? {
    guard let start = silentSince else { return nil }
    silentSince = nil
    return ViolationEvent(silenceOf: key, since: start, type, at: now, seconds: nil)
  }
}

extension ViolationEvent {
  /// The behavior of alarms about missing reports. Both names are this project's.
  private static let silence = EventBehavior.former(name: "reports-missing", metric: "seconds-without-report")

  fileprivate init(
    silenceOf key: StateItem.Key, since start: Int64, _ type: EventType, at now: Int64, seconds: UInt64?
  ) {
    let id = violationID(
      thing: key.thing, profile: key.profile, behavior: Self.silence.name, start: UInt64(clamping: start))
    self.init(
      id: id, thing: key.thing, profile: key.profile, behavior: Self.silence,
      metricValue: seconds.map { .count($0) }, type: type, time: UInt64(clamping: now / 1_000))
  }
}
