import CLinux
import Glibc
import Platform

extension ProcRoot {
  /// The value of a metric now; nil for the one that is a difference of two snapshots.
  func value(of metric: SystemMetric, sensors: String = "/sys/class/thermal") throws(CustomMetricError)
    -> Double?
  {
    do throws(CollectionError) {
      switch metric.source {
      case .cpuUsage: return nil
      case .memoryUsage: return try memoryUsage()
      case .load(let column): return try number(in: "loadavg", column: column)
      case .openFiles: return try number(in: "sys/fs/file-nr", column: 0)
      case .uptime: return try number(in: "uptime", column: 0)
      case .processCount: return try processCount()
      case .diskUsage, .temperature: break
      }
    } catch {
      throw .unreadable(metric.name, error)
    }
    if case .diskUsage(let directory) = metric.source {
      return try diskUsage(of: directory, metric.name)
    }
    return try temperature(of: sensors, metric.name)
  }

  /// How much of the memory is used, in percent, to one decimal.
  ///
  /// Reads `meminfo` (proc_meminfo(5)). `MemAvailable` is the kernel's own estimate since Linux 3.14; before, free
  /// memory and caches are the best guess.
  private func memoryUsage() throws(CollectionError) -> Double {
    let contents = try firstBytes(of: "meminfo", count: 16_384)
    guard let percent = memoryUsagePercent(in: contents) else {
      throw malformed("meminfo", contents, "MemTotal and MemAvailable, in kB, should be here")
    }
    return percent
  }

  /// The number in a column of a file of one line.
  private func number(in path: String, column: Int) throws(CollectionError) -> Double {
    let contents = try firstBytes(of: path, count: 256)
    guard let value = nonnegativeNumber(inColumn: column, of: contents) else {
      throw malformed(path, contents, "column \(column + 1) should be a number")
    }
    return value
  }

  /// How many processes there are: the directories of the root that are a number.
  private func processCount() throws(CollectionError) -> Double {
    guard let directory = unsafe opendir(path) else { throw .unreadable(path: path, .current) }
    defer { unsafe closedir(directory) }
    var count = 0
    while let entry = unsafe readdir(directory) {
      let first = unsafe UInt8(bitPattern: entry.pointee.d_name.0)
      if (0x31...0x39).contains(first) { count += 1 }
    }
    return Double(count)
  }

  private func malformed(_ path: String, _ contents: [UInt8], _ reason: String) -> CollectionError {
    .malformed(path: "\(self.path)/\(path)", line: 1, reason: reason, text: excerpt(of: contents.span))
  }

  /// How much of a file system is used, in percent, to one decimal, as df(1) counts: of what users may have.
  ///
  /// statvfs(3) waits for a network file system that doesn't answer; such a one isn't for choosing.
  private func diskUsage(of directory: String, _ name: CustomMetricName) throws(CustomMetricError) -> Double {
    var status = statvfs()
    do throws(Errno) {
      _ = try retryingOnInterrupt { unsafe statvfs(directory, &status) }
    } catch {
      throw .unavailable(name, path: directory, error)
    }
    let used = Double(status.f_blocks) - Double(status.f_bfree)
    return percent(used, of: used + Double(status.f_bavail))
  }

  /// The temperature of the hottest thermal zone, in degrees Celsius, to one decimal.
  ///
  /// Reads `thermal_zone*/temp`, thousandths of a degree (Documentation/ABI/testing/sysfs-class-thermal).
  private func temperature(of sensors: String, _ name: CustomMetricName) throws(CustomMetricError) -> Double {
    let root = ProcRoot(sensors)
    var hottest: Int?
    for number in 0..<256 {
      // A zone that can't be read now, as some can't while they sleep, says nothing about the others.
      guard let contents = try? root.firstBytes(of: "thermal_zone\(number)/temp", count: 32) else { continue }
      let text = String(decoding: contents.prefix { $0 > 0x20 }, as: UTF8.self)
      if let value = Int(text) { hottest = max(hottest ?? value, value) }
    }
    guard let hottest else { throw .noSensor(name) }
    return (Double(hottest) / 100).rounded() / 10
  }
}

/// The memory in use according to the text of `meminfo`, in percent; nil where that can't be told.
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

/// The number in a column of a line of text, counted from 0; nil where none of at least 0 is there.
func nonnegativeNumber(inColumn column: Int, of contents: [UInt8]) -> Double? {
  let columns = contents.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 < 0x20 })
  guard
    columns.indices.contains(column), let value = Double(String(decoding: columns[column], as: UTF8.self)),
    value.isFinite, value >= 0
  else { return nil }
  return value
}

private func percent(_ part: Double, of whole: Double) -> Double {
  guard whole > 0 else { return 0 }
  return (max(0, min(100 * part / whole, 100)) * 10).rounded() / 10
}
