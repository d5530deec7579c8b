/// Rate-limits repeated log messages: the same text passes at most once per interval.
package struct RepeatFilter {
  private let interval: Duration
  private var lastAllowed: [String: BootTime] = [:]

  /// Creates a filter that lets the same text pass once per `interval`.
  package init(interval: Duration) {
    self.interval = interval
  }

  /// Returns whether `text` may be logged at `now`; if so, records that it was.
  package mutating func allows(_ text: String, at now: BootTime) -> Bool {
    if let last = lastAllowed[text], now < last.advanced(by: interval) { return false }
    // Limits the memory for texts that differ each time.
    if lastAllowed.count >= 100 { lastAllowed.removeAll() }
    lastAllowed[text] = now
    return true
  }
}
