/// The sources that built-in metrics are read from.
struct SystemFiles {
  let procfs: ProcRoot
  /// The directory that the metric is about; `/` by default.
  var directory = "/"
  /// The sysfs directory of the temperature sensors.
  var thermalZones = Self.thermalZones
  static let thermalZones = "/sys/class/thermal"
  /// Logs a warning about a source that doesn't measure something, at most once for each source.
  var warnOnce: (_ source: String, _ warning: String) -> Void = { _, _ in }

  /// Returns the number in a column, counted from 0, of a one-line file below the proc file system.
  func number(in path: String, column: Int) throws(CollectionError) -> Double {
    let contents = try procfs.firstBytes(of: path, count: 256)
    guard let value = nonnegativeNumber(inColumn: column, of: contents) else {
      throw malformed(path, contents, "column \(column + 1) should be a number")
    }
    return value
  }

  /// Like ``number(in:column:)``, for a number that is positive on every running system.
  func positiveNumber(in path: String, column: Int) throws(CollectionError) -> Double {
    let value = try number(in: path, column: column)
    guard value > 0 else {
      throw .notMeasured(
        path: "\(procfs.path)/\(path)", reason: "the value is 0, so this kernel doesn't measure it")
    }
    return value
  }

  /// Returns the error for a file that isn't in the kernel's format.
  func malformed(_ path: String, _ contents: [UInt8], _ reason: String) -> CollectionError {
    .malformed(path: "\(procfs.path)/\(path)", line: 1, reason: reason, text: excerpt(of: contents.span))
  }
}

extension SystemMetric {
  /// Reads the current value; nil if the metric is a difference between two snapshots.
  func value(in files: SystemFiles) throws(CustomMetricError) -> Double? {
    guard case .now(let read) = kind.reading else { return nil }
    var files = files
    files.directory = directory
    let value: Double?
    do throws(CollectionError) {
      value = try read(files)
    } catch {
      throw .unreadable(name, error)
    }
    guard let value else { throw .noSensor(name) }
    return value
  }
}

/// Returns the number in a column, counted from 0, of a line of text; nil if it isn't a number of at least 0.
func nonnegativeNumber(inColumn column: Int, of contents: [UInt8]) -> Double? {
  let columns = contents.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 < 0x20 })
  guard
    columns.indices.contains(column), let value = Double(String(decoding: columns[column], as: UTF8.self)),
    value.isFinite, value >= 0
  else { return nil }
  return value
}

/// Returns `part` as a percentage of `whole`, to one decimal and within 0 to 100. `whole` must be positive.
func percent(_ part: Double, of whole: Double) -> Double {
  (max(0, min(100 * part / whole, 100)) * 10).rounded() / 10
}
