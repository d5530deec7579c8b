/// Remembers what was said, so that a trouble that lasts is told now and then and not each time it is met.
package struct RepeatFilter {
  private let interval: Duration
  private var lastTold: [String: BootTime] = [:]

  /// A filter that lets the same text pass once in `interval`.
  package init(interval: Duration) {
    self.interval = interval
  }

  /// Whether `text` should be said now; counts as said where it is so.
  package mutating func allows(_ text: String, at now: BootTime) -> Bool {
    if let last = lastTold[text], now < last.advanced(by: interval) { return false }
    // Texts with ever new contents don't pile up.
    if lastTold.count >= 100 { lastTold.removeAll() }
    lastTold[text] = now
    return true
  }
}
