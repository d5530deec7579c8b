import Glibc
import Platform

/// Reports that wait on the disk until they can be published: the directory `spool` in the state directory.
///
/// Each report is a file named after the report's id, so the order of the names is the order of the reports. If a new report
/// would exceed the limit, the oldest reports are dropped. A file is complete and durable when it gets its name, so a crash
/// leaves whole files, and at most one temporary file.
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
  /// The number of reports that were lost since the last call of ``takeLost()``: dropped, damaged or missing.
  private var lost: UInt64 = 0
  /// The number of dropped reports that haven't been logged yet.
  private var unlogged = 0
  /// The oldest report, if reading it failed and the log has the error.
  private var unreadableID: UInt64?
  /// Whether the log says that files can't be removed.
  private var hasLoggedRemoval = false
  private var drops = RepeatFilter(interval: Self.repeatInterval)

  /// Lists the files in `directory`, which was last changed at `written`. Removes temporary files and files whose id isn't
  /// plausible.
  init(
    _ directory: consuming PrivateDirectory, path: String, limit: Int, at now: WallTime, written: WallTime,
    log: Log
  ) throws(Errno) {
    let largest = ReportSequence.largestPlausibleID(at: now, written: written)
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
    for name in unusable { discard(name, "it is unfinished, or its id isn't plausible") }
  }

  var count: Int { waiting.count }
  var oldestID: UInt64? { waiting.first?.id }
  var newestID: UInt64? { waiting.last?.id }

  /// Adds a report, whose id must be larger than those of all waiting reports.
  ///
  /// Returns true when the report is durable, and false if it is larger than the limit.
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
      // The rename may have succeeded. A restart would then publish this report although the next one includes its traffic.
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
          log.warn("Report \(id) is lost: \(path)/\(name) no longer exists.")
          continue
        }
        let report = try SpooledReport.decode(contents)
        if report.id == id { return report }
        discard(name, "it contains the report \(report.id)")
      } catch let error as SpooledReportError {
        discard(name, "\(error)")
      } catch let error as Errno {
        guard let reason = Self.reasonToDiscard(error) else {
          if unreadableID != id {
            unreadableID = id
            log.error(
              "Can't read \(path)/\(name): \(error). The reports in the spool wait until it can be read or is removed."
            )
          }
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
      guard !hasLoggedRemoval else { return }
      hasLoggedRemoval = true
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

  /// Returns why a file can never be read; nil if a later attempt may succeed.
  private static func reasonToDiscard(_ error: Errno) -> String? {
    switch error {
    case .fileTooLarge: "it is larger than at the start"
    // A bad sector must not block all later reports.
    case Errno(rawValue: EIO): "\(error)"
    default: StateDirectory.reasonToSetAside(error)
    }
  }

  private mutating func forgetOldest() { size -= waiting.removeFirst().size }

  private mutating func discard(_ name: String, _ reason: String) {
    // A temporary file isn't a lost report: the next report includes its traffic.
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
