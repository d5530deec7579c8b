extension SystemMetric.Kind {
  static let memoryUsage = Self(
    "memory_usage", "memory that isn't available without swapping, in percent", unit: "%",
    .now { (files) throws(CollectionError) in
      let contents = try files.procfs.firstBytes(of: "meminfo", count: 16_384)
      guard let percent = memoryUsagePercent(in: contents) else {
        throw files.malformed("meminfo", contents, "the file should have MemTotal and MemAvailable, in kB")
      }
      return percent
    })
}

/// Returns the memory in use according to the text of `meminfo` (proc_meminfo(5)), in percent; nil if values
/// are missing.
///
/// `MemAvailable` is the kernel's own estimate since Linux 3.14. Without it, free memory and caches are the
/// best estimate.
func memoryUsagePercent(in contents: [UInt8]) -> Double? {
  var values: [String: Double] = [:]
  for line in contents.split(separator: UInt8(ascii: "\n")) {
    let words = line.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ":") })
    if words.count >= 2, let value = UInt64(String(decoding: words[1], as: UTF8.self)) {
      values[String(decoding: words[0], as: UTF8.self)] = Double(value)
    }
  }
  let guess = values["MemFree"].map { $0 + (values["Buffers"] ?? 0) + (values["Cached"] ?? 0) }
  guard let total = values["MemTotal"], total > 0, let available = values["MemAvailable"] ?? guess else {
    return nil
  }
  return percent(total - available, of: total)
}
