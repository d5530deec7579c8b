/// What a metric of the system is read from.
struct SystemFiles {
  let procfs: ProcRoot
  /// The directory that the choice names, `/` where it names none.
  var directory = "/"
  /// Where sysfs has the sensors.
  var thermalZones = Self.thermalZones
  static let thermalZones = "/sys/class/thermal"
  /// Logs a warning about something that one of the metric's sources doesn't measure, unless there was one about it before.
  var warnOnce: (_ source: String, _ warning: String) -> Void = { _, _ in }

  /// The number in a column, counted from 0, of a file of one line below the proc file system.
  func number(in path: String, column: Int) throws(CollectionError) -> Double {
    let contents = try procfs.firstBytes(of: path, count: 256)
    guard let value = nonnegativeNumber(inColumn: column, of: contents) else {
      throw malformed(path, contents, "column \(column + 1) should be a number")
    }
    return value
  }

  /// The number in a column as ``number(in:column:)`` returns it, of a count that is at least 1 in every running system.
  func positiveNumber(in path: String, column: Int) throws(CollectionError) -> Double {
    let value = try number(in: path, column: column)
    guard value > 0 else {
      throw .notMeasured(
        path: "\(procfs.path)/\(path)", reason: "the kernel has 0 here, so nothing counts it")
    }
    return value
  }

  /// The error for a file that isn't what the kernel writes.
  func malformed(_ path: String, _ contents: [UInt8], _ reason: String) -> CollectionError {
    .malformed(path: "\(procfs.path)/\(path)", line: 1, reason: reason, text: excerpt(of: contents.span))
  }
}

extension SystemMetric {
  /// The value now; nil for one that is a difference of two snapshots.
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

/// The number in a column of a line of text, counted from 0; nil where none of at least 0 is there.
func nonnegativeNumber(inColumn column: Int, of contents: [UInt8]) -> Double? {
  let columns = contents.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 < 0x20 })
  guard
    columns.indices.contains(column), let value = Double(String(decoding: columns[column], as: UTF8.self)),
    value.isFinite, value >= 0
  else { return nil }
  return value
}

/// `part` of `whole`, which is more than 0, in percent, to one decimal and within 0 to 100.
func percent(_ part: Double, of whole: Double) -> Double {
  (max(0, min(100 * part / whole, 100)) * 10).rounded() / 10
}
