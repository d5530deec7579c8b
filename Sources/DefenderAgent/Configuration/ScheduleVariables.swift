extension ConfigurationReader {
  /// Reads the interval, its minimum, and whether the first report waits for the thing's slot.
  mutating func readSchedule(into configuration: inout Configuration) {
    if let seconds = seconds(.minimumInterval) { configuration.minimumInterval = seconds }
    if let seconds = seconds(.interval) { configuration.interval = seconds }
    if let isSpread = choice(.jitter, [("0", false), ("1", true)]) {
      configuration.isSpread = isSpread
    }
  }
}
