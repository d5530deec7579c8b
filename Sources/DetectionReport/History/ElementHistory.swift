/// When the elements of a list of one thing, such as its listening ports, came and went.
struct ElementHistory<Element: Hashable & Comparable & Sendable>: Sendable {
  /// The largest number of elements whose times are kept. Beyond it, the element that was absent for the longest time is dropped.
  static var maximumElements: Int { 64 }

  struct Presence: Sendable {
    let first: UInt64
    var last: UInt64
    var reports = 0
    var buckets = BucketSet()
  }

  private(set) var presences: [Element: Presence] = [:]
  /// The number of elements that were dropped or never kept, because there were too many.
  private(set) var dropped = 0
  /// The number of reports with the list.
  private(set) var reports = 0
  /// The number of reports whose list is a sample, so that an element may be missing from it.
  private(set) var sampledReports = 0
  private var firstReport: UInt64 = 0
  private var lastReport: UInt64 = 0

  /// Adds the list of a report at `time` in seconds.
  ///
  /// `total` is the number of entries that the report states; nil if it doesn't. `previous` is the time of the report directly before it;
  /// nil after a gap.
  mutating func add(
    _ elements: some Collection<Element>, total: UInt64?, at time: UInt64, previous: UInt64?,
    _ axis: TimeAxis
  ) {
    if reports == 0 { firstReport = time }
    reports += 1
    lastReport = max(time, lastReport)
    if let total, total > UInt64(elements.count) { sampledReports += 1 }
    let bucket = axis.bucket(at: time)
    for element in elements {
      if presences[element] == nil {
        if presences.count >= Self.maximumElements {
          dropped += 1
          guard dropOldest(before: time) else { continue }
        }
        presences[element] = Presence(first: time, last: time)
      }
      guard presences[element]?.buckets.contains(bucket) == false || presences[element]?.last != time else {
        continue  // A list may repeat an element.
      }
      // An element that is in two consecutive reports counts as present between them.
      let isContinued = presences[element]?.last == previous
      let first = isContinued ? previous.map { axis.bucket(at: $0) } ?? bucket : bucket
      presences[element]?.last = time
      presences[element]?.reports += 1
      presences[element]?.buckets.insert(min(first, bucket)...bucket)
    }
  }

  private mutating func dropOldest(before time: UInt64) -> Bool {
    let oldest = presences.filter { $0.value.last < time }
      .min { ($0.value.last, $0.value.first, $0.key) < ($1.value.last, $1.value.first, $1.key) }
    guard let oldest else { return false }
    presences[oldest.key] = nil
    return true
  }

  mutating func merge(by factor: Int) {
    for element in Array(presences.keys) { presences[element]?.buckets.merge(by: factor) }
  }

  /// Whether the element wasn't in the first list.
  func came(_ presence: Presence) -> Bool { presence.first > firstReport }
  /// Whether the element isn't in the last list.
  func went(_ presence: Presence) -> Bool { presence.last < lastReport }
}
