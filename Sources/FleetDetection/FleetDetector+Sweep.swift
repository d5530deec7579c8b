import Detection
package import Platform

extension FleetDetector {
  /// Delivers the events that a stopped process left, and invalidates alarms: those of behaviors and profiles that changed or no
  /// longer apply, and those of things that sent no such metric for more than two days.
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
    return counts
  }

  private func invalidated(_ item: inout StateItem) -> [ViolationEvent] {
    let profile = catalog.profile(item.key.profile)
    let applies = profile?.applies(to: item.key.thing) == true
    // A profile that is disabled because of a mistake isn't removed.
    guard applies || catalog.isComplete else { return [] }
    let compiled = applies ? profile?.evaluator : nil
    var evaluator = (compiled ?? Evaluator([])).continued(from: item.state)
    let events = evaluator.invalidateAlarms(of: item.key.thing, at: UInt64(clamping: now))
    item.add(events, of: profile)
    item.state = evaluator.state
    return events
  }
}
