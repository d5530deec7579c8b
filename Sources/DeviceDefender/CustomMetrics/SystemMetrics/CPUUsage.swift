extension SystemMetric.Kind {
  /// The arithmetic is in `Snapshot/ProcStat.swift`.
  static let cpuUsage = Self(
    "cpu_usage", "busy share of the processors since the last report, in percent", .processorTimes)
}
