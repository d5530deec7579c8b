import Detection
package import Platform

extension FleetDetector {
  /// Delivers the events that a stopped process left, and invalidates alarms: those of behaviors and profiles that changed or no
  /// longer apply, and those of things that sent no such metric for more than two days. Raises the alarms of silent things.
  package func sweep(until deadline: BootTime) throws(StoreError) -> FleetCounts {
    try catalog.refresh(until: deadline)
    var counts = FleetCounts()
    for item in try store.itemsThatNeedAttention(until: deadline) {
      guard time.bootTime < deadline else {
        throw StoreError("No time was left to look at all active alarms. Raise the function's timeout.")
      }
      var item = item
      let isAbandoned = !item.outbox.isEmpty && now - item.updated >= Self.outboxPatience
      let events = invalidated(&item)
      if !events.isEmpty {
        item.updated = now
        // If a report changed it meanwhile, the next sweep looks again.
        guard try store.save(item, until: deadline) else {
          counts.conflicts += 1
          continue
        }
        item.version += 1
        counts.add(events)
      }
      if !events.isEmpty || isAbandoned { deliver([item], &counts, until: deadline) }
    }
    if let silence { try findSilent(after: silence + seenInterval, &counts, until: deadline) }
    return counts
  }

  /// Raises an alarm for each thing that was last seen `limit` milliseconds ago. The last report may be as much newer as `seen` is
  /// written late, so the limit includes that time.
  private func findSilent(
    after limit: Int64, _ counts: inout FleetCounts, until deadline: BootTime
  ) throws(StoreError) {
    for item in try store.itemsNotSeen(since: now - limit, until: deadline) {
      guard time.bootTime < deadline else {
        throw StoreError("No time was left to look at all silent things. Raise the function's timeout.")
      }
      guard let profile = catalog.profile(item.key.profile), profile.applies(to: item.key.thing) else {
        continue
      }
      var item = item
      item.silentSince = now
      item.updated = now
      let event = ViolationEvent(
        silenceOf: item.key, since: now, .inAlarm, at: now,
        seconds: UInt64(clamping: (now - item.seen) / 1_000))
      item.add([event], of: profile)
      guard try store.save(item, until: deadline) else {
        counts.conflicts += 1
        continue
      }
      item.version += 1
      counts.add([event])
      deliver([item], &counts, until: deadline)
    }
  }

  private func invalidated(_ item: inout StateItem) -> [ViolationEvent] {
    let profile = catalog.profile(item.key.profile)
    let applies = profile?.applies(to: item.key.thing) == true
    // A profile that is disabled because of a mistake isn't removed.
    guard applies || catalog.isComplete else { return [] }
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
