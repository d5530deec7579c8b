import Platform

extension FleetDetector {
  /// The time that is kept for writing what was delivered, because an event that isn't removed from its outbox is delivered again.
  private static let savingTime = Duration.seconds(2)

  /// Delivers the events of items, and then removes them from the outboxes. What can't be delivered stays there.
  func deliver(_ items: [StateItem], _ counts: inout FleetCounts, until deadline: BootTime) {
    let waiting = items.filter { !$0.outbox.isEmpty }
    guard !waiting.isEmpty else { return }
    do throws(StoreError) {
      let recorded = try record(waiting, until: deadline)
      let left = time.bootTime.duration(to: deadline)
      let end = deadline.advanced(by: .zero - min(Self.savingTime, left / 4))
      var changed: [StateItem] = []
      for (item, before) in zip(recorded, waiting) {
        var item = item
        deliver(&item, &counts, until: end)
        guard item.outbox != before.outbox else { continue }
        item.updated = now
        changed.append(item)
      }
      // If another process changed the item meanwhile, it keeps the events and delivers them again, with the same ids.
      _ = try store.saveAll(changed, until: deadline)
    } catch {
      counts.undelivered += waiting.reduce(0) { $0 + $1.outbox.count }
      log.error("Events stay in the outbox, and the next sweep delivers them. \(error)")
    }
  }

  /// Adds the events that aren't in the history to it. Returns the items, whose events are now marked.
  private func record(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [StateItem] {
    let history = items.flatMap { item in
      item.outbox.filter { !$0.isRecorded }.compactMap { HistoryEvent($0.event) }
    }
    do throws(StoreError) {
      if !history.isEmpty { try store.append(history, until: deadline) }
    } catch {
      guard error.scope == .item else { throw error }
      if items.count > 1 {
        var recorded: [StateItem] = []
        for item in items { recorded += try record([item], until: deadline) }
        return recorded
      }
      // The alert matters more than its history.
      for item in items {
        log.error("Events of the thing '\(item.key.thing)' are missing in the history. \(error)")
      }
    }
    return items.map { item in
      var item = item
      for index in item.outbox.indices { item.outbox[index].isRecorded = true }
      return item
    }
  }

  /// Delivers the events of an item in their order, up to the first one that can't be delivered.
  private func deliver(_ item: inout StateItem, _ counts: inout FleetCounts, until deadline: BootTime) {
    for (index, entry) in item.outbox.enumerated() {
      guard let rest = rest(of: current(entry, item.key), item.key, until: deadline) else { continue }
      item.outbox = [rest] + item.outbox[(index + 1)...]
      counts.undelivered += item.outbox.count
      return
    }
    item.outbox = []
  }

  /// Returns the event with the targets that its profile has now, if it waits for others: those may have been deleted or misspelt.
  private func current(_ entry: OutboxEntry, _ key: StateItem.Key) -> OutboxEntry {
    guard let profile = catalog.profile(key.profile),
      !entry.targets.allSatisfy({ profile.targets.contains($0) })
    else { return entry }
    var entry = entry
    entry.targets = profile.targets
    return entry
  }

  /// Delivers an event to the targets that haven't failed yet. Returns it with those that don't have it; nil if all have it.
  private func rest(of entry: OutboxEntry, _ key: StateItem.Key, until deadline: BootTime) -> OutboxEntry? {
    var asked = entry
    asked.targets.removeAll { unavailableTargets.contains($0) }
    asked.isPublished = entry.isPublished || unavailableTargets.contains(OutboxEntry.iotTarget)
    var rest = entry
    rest.targets.removeAll { asked.targets.contains($0) }
    rest.isPublished = entry.isPublished || !asked.isPublished
    if asked.targets.isEmpty, asked.isPublished { return rest.isDelivered ? nil : rest }
    do throws(DeliveryError) {
      try delivery.deliver(asked, until: deadline)
    } catch {
      log.error(
        "Events of the thing '\(key.thing)' stay in the outbox, and the next sweep delivers them. \(error)")
      guard let failed = error.failed else { return entry }
      unavailableTargets.formUnion(failed)
      rest.targets += asked.targets.filter { failed.contains($0) }
      if failed.contains(OutboxEntry.iotTarget) { rest.isPublished = false }
    }
    return rest.isDelivered ? nil : rest
  }
}
