import Detection
import Platform

/// The sketches that statistical thresholds need, as they were read from the store less than a minute ago.
struct SketchCache {
  /// How long a sketch is used before it is read again: a late report may still add a value.
  private static let lifetime = Duration.seconds(60)
  /// The largest number of windows of one behavior for which a batch reads sketches, or adds to them. A device could make up any
  /// number of windows, each of which needs a request.
  private static let windowLimit = 8
  /// The largest number of sketches to keep.
  private static let sizeLimit = 256

  private var entries: [SketchKey: (sketch: PercentileSketch, readAt: BootTime)] = [:]

  /// Reads those of `keys` that aren't known, and returns the others, too. Leaves out windows that aren't complete at `now`, in
  /// milliseconds: a device whose clock is ahead would be compared with only a few others.
  mutating func sketches(
    _ keys: Set<SketchKey>, from store: any FleetStore, now: Int64, at time: BootTime,
    until deadline: BootTime
  ) throws(StoreError) -> [SketchKey: PercentileSketch] {
    entries = entries.filter { $0.value.readAt.duration(to: time) < Self.lifetime }
    if entries.count > Self.sizeLimit { entries = [:] }
    var found: [SketchKey: PercentileSketch] = [:]
    for key in Self.nearest(keys.filter { $0.completion <= UInt64(clamping: now) }, to: now) {
      if let known = entries[key] {
        found[key] = known.sketch
      } else {
        let sketch = try store.sketch(key, until: deadline)
        entries[key] = (sketch, time)
        found[key] = sketch
      }
    }
    return found
  }

  /// Returns the keys of the windows nearest to `now`, in milliseconds: at most ``windowLimit`` of each behavior.
  static func nearest(_ keys: some Sequence<SketchKey>, to now: Int64) -> Set<SketchKey> {
    let now = UInt64(clamping: now)
    func distance(_ key: SketchKey) -> UInt64 { max(key.completion, now) - min(key.completion, now) }
    let groups = Dictionary(grouping: keys) { [$0.profile, $0.behavior] }
    return Set(groups.values.flatMap { $0.sorted { distance($0) < distance($1) }.prefix(windowLimit) })
  }
}
