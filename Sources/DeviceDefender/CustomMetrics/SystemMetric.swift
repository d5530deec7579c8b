/// A custom metric that is read from this system, chosen by `DEFENDER_CUSTOM_METRICS`.
package struct SystemMetric: Equatable, Sendable {
  package enum Source: Equatable, Sendable {
    /// How busy the processors were since the last report, in percent.
    case cpuUsage
    /// How much of the memory can't be had without swapping, in percent.
    case memoryUsage
    /// The average number of processes that run or want to, over 1, 5 or 15 minutes.
    case load(column: Int)
    /// How many files are open in the whole system.
    case openFiles
    /// How much of the file system that a directory is in is used, in percent, as df(1) counts.
    case diskUsage(directory: String)
    /// Seconds since boot.
    case uptime
    /// How many processes there are.
    case processCount
    /// The temperature of the hottest thermal zone, in degrees Celsius.
    case temperature
  }

  package let name: CustomMetricName
  package let source: Source

  private static let sources: [(name: String, source: Source)] = [
    ("cpu_usage", .cpuUsage), ("memory_usage", .memoryUsage), ("load_1m", .load(column: 0)),
    ("load_5m", .load(column: 1)), ("load_15m", .load(column: 2)), ("open_files", .openFiles),
    ("disk_usage", .diskUsage(directory: "/")), ("uptime", .uptime), ("process_count", .processCount),
    ("temperature", .temperature),
  ]

  /// The names that ``init(parsing:)`` knows.
  package static var names: [String] { sources.map(\.name) }

  /// Reads one choice: `cpu_usage`, `disk_usage:/var`, or under another name `root_disk=disk_usage:/`.
  ///
  /// The metric has the name of its source, and for a directory what that is called, `disk_usage_var`; the other name is
  /// for an account where the metric is defined under one of its own.
  package init(parsing text: String) throws(CustomMetricError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let choice = parts.count == 2 ? parts[1] : text
    let words = choice.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let known = Self.sources.first(where: { $0.name == words[0] }) else { throw .unknown(choice) }
    var source = known.source
    var name = known.name
    if words.count == 2 {
      guard case .diskUsage = source else { throw .needlessArgument(words[0]) }
      guard !words[1].isEmpty else { throw .missingArgument(words[0]) }
      guard words[1].hasPrefix("/") else { throw .relativePath(words[1]) }
      source = .diskUsage(directory: words[1])
      name = Self.name(known.name, of: words[1])
    }
    self.source = source
    self.name = try CustomMetricName(validating: parts.count == 2 ? parts[0] : name)
  }

  /// Reads `DEFENDER_CUSTOM_METRICS`: choices with commas, and blanks, between them.
  package static func list(parsing text: String) throws(CustomMetricError) -> [SystemMetric] {
    var metrics: [SystemMetric] = []
    for choice in text.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }) {
      let metric = try SystemMetric(parsing: String(choice))
      if metrics.contains(where: { $0.name == metric.name }) { throw .twice(metric.name) }
      metrics.append(metric)
    }
    return metrics
  }

  /// `disk_usage_var_lib` for `/var/lib`, and `disk_usage` for `/`.
  private static func name(_ source: String, of directory: String) -> String {
    let words = directory.split { character in
      !(character.isASCII && (character.isLetter || character.isNumber || "_-".contains(character)))
    }
    return ([Substring(source)] + words).joined(separator: "_")
  }
}
