extension SystemMetric.Kind {
  /// Reads `uptime` (proc_uptime(5)).
  static let uptime = Self(
    "uptime", "seconds since boot", unit: "s",
    .now { (files) throws(CollectionError) in try files.positiveNumber(in: "uptime", column: 0) })
}
