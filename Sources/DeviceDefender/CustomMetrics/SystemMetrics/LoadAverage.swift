extension SystemMetric.Kind {
  static let load1m = load("load_1m", "1 minute", column: 0)
  static let load5m = load("load_5m", "5 minutes", column: 1)
  static let load15m = load("load_15m", "15 minutes", column: 2)

  /// Reads `loadavg` (proc_loadavg(5)).
  private static func load(_ name: String, _ span: String, column: Int) -> Self {
    Self(
      name, "running and waiting processes, average over \(span)",
      .now { (files) throws(CollectionError) in
        let load = try files.number(in: "loadavg", column: column)
        let contents = try files.procfs.firstBytes(of: "loadavg", count: 256)
        if countsNoTask(contents) {
          throw .notMeasured(
            path: "\(files.procfs.path)/loadavg",
            reason: "it counts no tasks, so this kernel doesn't measure the load")
        }
        return load
      })
  }
}

/// Returns whether the fourth column of `loadavg`, `running/existing`, counts 0 tasks, as in sandboxes that
/// fake the file.
func countsNoTask(_ contents: [UInt8]) -> Bool {
  let columns = contents.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 < 0x20 })
  return columns.count > 3 && columns[3].split(separator: UInt8(ascii: "/")).last.map(Array.init) == [0x30]
}
