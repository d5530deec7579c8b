extension SystemMetric.Kind {
  /// ``ProcessorTimes`` has the arithmetic.
  static let cpuUsage = Self(
    "cpu_usage", "busy share of the processors since the last report, in percent", .processorTimes)
}
