package import Detection
package import Platform

/// A store in memory, for one process: the local pipeline and tests.
package final class MemoryStore: FleetStore {
  package private(set) var states: [StateItem.Key: StateItem] = [:]
  package private(set) var history: [HistoryEvent] = []
  package private(set) var sketches: [SketchKey: PercentileSketch] = [:]
  package private(set) var documents: [String: ProfileDocument] = [:]

  package init() {}

  /// Adds what a file has.
  func restore(_ item: StateItem) { states[item.key] = item }

  func restore(_ event: HistoryEvent) { history.append(event) }

  func restore(_ sketch: PercentileSketch, _ key: SketchKey) { sketches[key] = sketch }

  func restore(_ profile: ProfileDocument) { documents[profile.name] = profile }

  /// Removes the sketches of windows that were complete before a time in milliseconds.
  func removeSketches(before time: UInt64) { sketches = sketches.filter { $0.key.completion >= time } }

  /// Removes events before a time in seconds, and states that weren't written since then, except those with an active alarm.
  func removeAll(before time: Int64) {
    history.removeAll { $0.time < UInt64(clamping: time) }
    let limit = time.multipliedReportingOverflow(by: 1_000).partialValue
    states = states.filter { $0.value.updated >= limit || $0.value.seen >= limit || $0.value.needsAttention }
  }

  package func items(_ keys: [StateItem.Key], until deadline: BootTime) throws(StoreError) -> [StateItem] {
    keys.compactMap { states[$0] }
  }

  package func save(_ item: StateItem, until deadline: BootTime) throws(StoreError) -> Bool {
    guard states[item.key]?.version ?? 0 == item.version else { return false }
    var saved = item
    saved.version += 1
    states[item.key] = saved
    return true
  }

  package func saveAll(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [Bool] {
    var done: [Bool] = []
    for item in items { done.append(try save(item, until: deadline)) }
    return done
  }

  package func append(_ events: [HistoryEvent], until deadline: BootTime) throws(StoreError) {
    for event in events where !history.contains(event) { history.append(event) }
  }

  package func visitItemsThatNeedAttention(until deadline: BootTime, _ visit: Visitor) throws(StoreError) {
    try visit(itemsThatNeedAttention)
  }

  package func visitItems(
    seen times: Range<Int64>, until deadline: BootTime, _ visit: Visitor
  ) throws(StoreError) {
    try visit(items(seen: times))
  }

  var itemsThatNeedAttention: [StateItem] {
    states.values.filter(\.needsAttention).sorted { $0.key.thing < $1.key.thing }
  }

  func items(seen times: Range<Int64>) -> [StateItem] {
    let found = states.values.filter { times.contains($0.seen) && $0.silentSince == nil }
    return found.sorted { $0.key.thing < $1.key.thing }
  }

  package func events(
    of thing: String, _ times: ClosedRange<UInt64>, until deadline: BootTime
  ) throws(StoreError) -> [HistoryEvent] {
    history.filter { $0.thing == thing && times.contains($0.time) }.sorted { $0.time < $1.time }
  }

  package func add(
    _ sketches: [SketchKey: PercentileSketch], until deadline: BootTime
  ) throws(StoreError) {
    for (key, sketch) in sketches { self.sketches[key, default: PercentileSketch()].merge(sketch) }
  }

  package func sketch(_ key: SketchKey, until deadline: BootTime) throws(StoreError) -> PercentileSketch {
    sketches[key] ?? PercentileSketch()
  }

  package func profiles(
    until deadline: BootTime
  ) throws(StoreError) -> [Result<ProfileDocument, ProfileSourceError>] {
    documents.values.sorted { $0.name < $1.name }.map { .success($0) }
  }

  package func save(_ profile: ProfileDocument, until deadline: BootTime) throws(StoreError) {
    documents[profile.name] = profile
  }
}
