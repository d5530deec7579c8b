extension SystemMetric.Kind {
  /// The arithmetic is in `Snapshot/ProcStat.swift`.
  static let cpuUsage = Self(
    "cpu_usage", "processor usage since the last report, in percent", unit: "%", .processorTimes)
}
