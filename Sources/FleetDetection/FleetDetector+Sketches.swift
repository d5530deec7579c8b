import Detection
import Platform

// Statistical thresholds: the values of all things in a window are in a sketch in the store.
extension FleetDetector {
  /// Returns the sketches with which the records' windows are compared.
  func sketches(
    for batch: [Work], _ stored: [StateItem.Key: StateItem], until deadline: BootTime
  ) throws(StoreError) -> [SketchKey: PercentileSketch] {
    var keys: Set<SketchKey> = []
    for work in batch where work.profile.comparesThings {
      let state = stored[work.key]?.state ?? DetectionState()
      keys.formUnion(
        work.profile.evaluator.continued(from: state).sketchKeys(for: work.records.map(\.observation)))
    }
    if keys.isEmpty { return [:] }
    return try cache.sketches(keys, from: store, now: now, at: time.bootTime, until: deadline)
  }

  /// Adds values to the sketches of their windows, after the states with these values were saved. If that fails, the percentiles lack
  /// these values: a second evaluation wouldn't find them again.
  func add(_ contributions: [SketchKey: PercentileSketch], until deadline: BootTime) {
    guard !contributions.isEmpty else { return }
    let nearest = SketchCache.nearest(contributions.keys, to: now)
    do throws(StoreError) {
      try store.add(contributions.filter { nearest.contains($0.key) }, until: deadline)
    } catch {
      log.error("Values are missing in the percentiles of the fleet. \(error)")
    }
  }
}
