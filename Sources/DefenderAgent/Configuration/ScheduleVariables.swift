extension ConfigurationReader {
  /// Reads when reports are made.
  mutating func readSchedule(into configuration: inout Configuration) {
    if let seconds = seconds("DEFENDER_MINIMUM_INTERVAL_SECONDS") { configuration.minimumInterval = seconds }
    if let seconds = seconds("SAMPLE_INTERVAL_SECONDS") { configuration.interval = seconds }
    if let isSpread = choice("DEFENDER_JITTER", [("0", false), ("1", true)]) {
      configuration.isSpread = isSpread
    }
  }
}
