import Platform

/// Reports that wait on the disk until they can be published: the directory `spool` in the state directory.
///
/// Each report is a file whose name is the report's id, so that the order of the names is the order of the reports. The files
/// together never have more bytes than the limit: the oldest reports are dropped for new ones. A file is complete and durable
/// when it gets its name, so a crash leaves whole files, and at most one temporary file.
struct Spool: ~Copyable {
  static let directoryName = "spool"
  private static let suffix = ".report"
  private static let repeatInterval = Duration.seconds(3_600)

  private let directory: PrivateDirectory
  let path: String
  private let limit: Int
  private let log: Log
  /// The waiting reports, the oldest first.
  private var waiting: [(id: UInt64, size: Int)] = []
  private var size = 0
  /// The number of reports that were dropped or damaged, since the last call of ``takeLost()``.
  private var lost: UInt64 = 0
  /// The number of dropped reports that the log doesn't have yet.
  private var unlogged = 0
  private var drops = RepeatFilter(interval: Self.repeatInterval)

  /// Lists the files in `directory`, and removes those that can't be used: temporary files, and ids far ahead of the clock.
  init(
    _ directory: consuming PrivateDirectory, path: String, limit: Int, at now: WallTime, log: Log
  ) throws(Errno) {
    let largest = ReportSequence.largestPlausibleID(at: now, written: now)
    var unusable: [String] = []
    for file in try directory.files() {
      if let id = Self.id(ofFile: file.name), id <= largest {
        waiting.append((id, file.size))
        size += file.size
      } else if file.name.hasSuffix(Self.suffix) || file.name.hasSuffix(Self.suffix + ".new") {
        unusable.append(file.name)
      }
    }
    waiting.sort { $0.id < $1.id }
    self.directory = directory
    self.path = path
    self.limit = limit
    self.log = log
    for name in unusable { discard(name, "it isn't a complete report") }
  }

  var count: Int { waiting.count }
  var oldestID: UInt64? { waiting.first?.id }
  var newestID: UInt64? { waiting.last?.id }

  /// Adds a report, whose id must be larger than all others. When this returns true, the report is durable.
  ///
  /// Returns false if the report is larger than the spool.
  mutating func append(_ report: SpooledReport, at now: BootTime) throws(Errno) -> Bool {
    let contents = report.encoded
    guard contents.count <= limit else {
      if drops.allows("size", at: now) {
        log.warn(
          "Report \(report.id) can't wait in \(path): it needs \(contents.count) bytes, and DEFENDER_SPOOL_BYTES is \(limit)."
        )
      }
      return false
    }
    while size + contents.count > limit, !waiting.isEmpty {
      removeOldest()
      lost += 1
      unlogged += 1
    }
    if unlogged > 0, drops.allows("full", at: now) {
      log.warn(
        "Dropped \(unlogged) report\(unlogged == 1 ? "" : "s"), the oldest, because \(path) is full. DEFENDER_SPOOL_BYTES is \(limit)."
      )
      unlogged = 0
    }
    let name = Self.name(of: report.id)
    do throws(Errno) {
      try directory.replace(name, with: contents)
    } catch {
      // The rename may have succeeded. Without this, the report would be published although the next one includes its traffic.
      try? directory.remove(name)
      throw error
    }
    waiting.append((report.id, contents.count))
    size += contents.count
    return true
  }

  /// Returns the oldest report that can be read, and removes damaged files before it; nil if there is none.
  mutating func oldest() -> SpooledReport? {
    while let (id, size) = waiting.first {
      let name = Self.name(of: id)
      do {
        guard let contents = try directory.read(name, limit: size) else {
          forgetOldest()
          lost += 1
          log.warn("\(path)/\(name) is gone. That report is lost.")
          continue
        }
        let report = try SpooledReport.decode(contents)
        if report.id == id { return report }
        discard(name, "it contains the report \(report.id)")
      } catch let error as SpooledReportError {
        discard(name, "\(error)")
      } catch let error as Errno {
        guard let reason = StateDirectory.reasonToSetAside(error) else {
          log.error("Can't read \(path)/\(name): \(error). The next report tries again.")
          return nil
        }
        discard(name, reason)
      } catch {
        return nil
      }
      forgetOldest()
    }
    return nil
  }

  /// Removes the oldest report, which was published or is dropped.
  ///
  /// If that fails, the report is published once more after a restart, with the same id.
  mutating func removeOldest() {
    guard let id = oldestID else { return }
    forgetOldest()
    do throws(Errno) {
      try directory.remove(Self.name(of: id))
    } catch {
      log.error(
        "Can't remove report \(id) from \(path): \(error). After a restart, it is published again, with the same id."
      )
    }
  }

  /// Drops the oldest report, which can never be published, for `reason`.
  mutating func dropOldest(_ reason: String) {
    guard let id = oldestID else { return }
    removeOldest()
    lost += 1
    log.warn("Dropped report \(id) from \(path): \(reason).")
  }

  /// Returns the number of reports that were lost since the last call.
  mutating func takeLost() -> UInt64 {
    defer { lost = 0 }
    return lost
  }

  private mutating func forgetOldest() { size -= waiting.removeFirst().size }

  private mutating func discard(_ name: String, _ reason: String) {
    // A temporary file is of a report whose traffic the next report includes.
    if !name.hasSuffix(".new") { lost += 1 }
    do throws(Errno) {
      try directory.remove(name)
      log.warn("Removed \(path)/\(name): \(reason).")
    } catch {
      log.warn("\(path)/\(name) can't be used: \(reason). It can't be removed: \(error).")
    }
  }

  private static func name(of id: UInt64) -> String {
    let digits = "\(id)"
    return String(repeating: "0", count: 20 - digits.utf8.count) + digits + suffix
  }

  private static func id(ofFile name: String) -> UInt64? {
    guard let id = UInt64(name.prefix(20)), self.name(of: id) == name else { return nil }
    return id
  }
}
