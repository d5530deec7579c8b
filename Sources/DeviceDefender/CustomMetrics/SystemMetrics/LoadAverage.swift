extension SystemMetric.Kind {
  static let load1m = load("load_1m", "a minute", column: 0)
  static let load5m = load("load_5m", "5 minutes", column: 1)
  static let load15m = load("load_15m", "15 minutes", column: 2)

  /// Reads `loadavg` (proc_loadavg(5)).
  private static func load(_ name: String, _ span: String, column: Int) -> Self {
    Self(
      name, "processes that run or want to, on average over \(span)",
      .now { (files) throws(CollectionError) in try files.number(in: "loadavg", column: column) })
  }
}
