/// A built-in metric, read from this system and selected by `DEFENDER_CUSTOM_METRICS`.
package struct SystemMetric: Sendable {
  /// All kinds, in the order of the help. A new kind needs a line here and a file in `SystemMetrics`.
  package static let kinds: [Kind] = [
    .cpuUsage,
    .memoryUsage,
    .load1m,
    .load5m,
    .load15m,
    .openFiles,
    .diskUsage,
    .uptime,
    .processCount,
    .temperature,
  ]

  /// The name of the metric in a report.
  package let name: CustomMetricName
  let kind: Kind
  /// The directory that the metric is about, if its kind has one.
  let directory: String

  /// The unit of the number, such as `%`; empty if it is a plain number.
  package var unit: String { kind.unit }

  /// The names that ``init(parsing:)`` accepts.
  package static var names: [String] { kinds.map(\.name) }

  /// Parses one choice: `cpu_usage`, `disk_usage:/var`, or with another name `root_disk=disk_usage:/`.
  ///
  /// By default, the metric has the name of its kind, followed by the words of the directory:
  /// `disk_usage_var`. A choice can set another name, under which the account has defined the metric.
  package init(parsing text: String) throws(CustomMetricError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let choice = parts.count == 2 ? parts[1] : text
    let words = choice.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let kind = Self.kinds.first(where: { $0.name == words[0] }) else { throw .unknown(choice) }
    var name = kind.name
    var directory = "/"
    if words.count == 2 {
      guard kind.acceptsDirectory else { throw .needlessArgument(words[0]) }
      guard !words[1].isEmpty else { throw .missingArgument(words[0]) }
      guard words[1].hasPrefix("/") else { throw .relativePath(words[1]) }
      directory = words[1]
      name = Self.name(kind.name, of: directory)
    }
    self.kind = kind
    self.directory = directory
    self.name = try CustomMetricName(validating: parts.count == 2 ? parts[0] : name)
  }

  /// Parses `DEFENDER_CUSTOM_METRICS`: choices separated by commas or blanks.
  package static func list(parsing text: String) throws(CustomMetricError) -> [SystemMetric] {
    var metrics: [SystemMetric] = []
    for choice in text.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }) {
      let metric = try SystemMetric(parsing: String(choice))
      if metrics.contains(where: { $0.name == metric.name }) { throw .twice(metric.name) }
      metrics.append(metric)
    }
    return metrics
  }

  /// Returns `disk_usage_var_lib` for `/var/lib`, and `disk_usage` for `/`.
  private static func name(_ kind: String, of directory: String) -> String {
    let words = directory.split { character in
      !(character.isASCII && (character.isLetter || character.isNumber || "_-".contains(character)))
    }
    return ([Substring(kind)] + words).joined(separator: "_")
  }
}

extension SystemMetric {
  /// A property of this system that can be measured as a number.
  package struct Kind: Sendable {
    package let name: String
    /// The meaning and unit of the number: a line of the help.
    package let summary: String
    /// The symbol of the unit; empty for a plain number.
    let unit: String
    /// Whether a choice may have a directory, as in `disk_usage:/var`.
    let acceptsDirectory: Bool
    let reading: Reading

    init(
      _ name: String, _ summary: String, unit: String = "", acceptsDirectory: Bool = false, _ reading: Reading
    ) {
      self.name = name
      self.summary = summary
      self.unit = unit
      self.acceptsDirectory = acceptsDirectory
      self.reading = reading
    }
  }

  enum Reading: Sendable {
    /// Read for each report; returns nil if this machine has no sensor for it.
    case now(@Sendable (SystemFiles) throws(CollectionError) -> Double?)
    /// The load of the processors between two reports; their times are part of the baseline.
    case processorTimes
  }
}
