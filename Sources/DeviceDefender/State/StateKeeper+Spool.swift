package import Platform

/// The spool: reports that couldn't be published wait in the state directory.
///
/// Before a report is added to the spool, the saved state contains its id, the current baseline, and the baseline that includes
/// the report. After a crash, the report's file decides: if it exists, the next process continues from the baseline that includes
/// the report, otherwise from the other one. So no crash loses traffic or counts it twice.
extension StateKeeper {
  /// The number of reports that wait in the spool.
  package var spooledCount: Int {
    mutating get { spool?.count ?? 0 }
  }

  /// The id of the newest report in the spool; nil if it is empty.
  package var newestSpooledID: UInt64? {
    mutating get { spool?.newestID }
  }

  /// Continues from the baseline of the newest report in the spool, if the last process ended before it could save that.
  mutating func continueFromSpool(_ state: inout SavedState) {
    if let newest = spool?.newestID {
      if newest == state.lastReportID, let baseline = state.baselineIfSpooled { state.baseline = baseline }
      // No id is used twice, even if `state.json` was lost.
      state.lastReportID = max(state.lastReportID, newest)
      let count = spooledCount
      let reports = "\(count) report\(count == 1 ? "" : "s")"
      if spoolLimit == 0 {
        log.warn(
          "The spool in \(path ?? "") has \(reports), but DEFENDER_SPOOL_BYTES is 0, so nothing is published from it. Set "
            + "DEFENDER_SPOOL_BYTES, or remove the directory spool.")
      } else {
        log.info("Found \(reports) of an earlier process in the spool.")
      }
    }
    state.baselineIfSpooled = nil
  }

  /// Adds a report to the spool. Returns true if it is durable there; then it moves the baseline.
  ///
  /// Requires that the saved state contains the report's id and baseline; see ``SavedState/baselineIfSpooled``.
  package mutating func spool(_ report: SpooledReport, at time: any TimeSource) -> Bool {
    let now = time.bootTime
    guard saved?.lastReportID == report.id, saved?.baselineIfSpooled != nil, spoolLimit > 0,
      spoolOffUntil.map({ $0 <= now }) ?? true
    else { return false }
    do throws(Errno) {
      if spool == nil { spool = try directory?.spool(limit: spoolLimit, creates: true, at: time.wallTime) }
      return try spool?.append(report, at: now) ?? false
    } catch {
      // Somebody removed the directory; the next report creates it again.
      if error == .noSuchFile {
        spool = nil
        return false
      }
      spoolOffUntil = now.advanced(by: Self.repeatInterval)
      log.error(
        "The spool in \(path ?? "") can't be written to: \(error). For an hour, reports that can't be published aren't kept; "
          + "the next report includes their traffic.")
      return false
    }
  }

  /// Returns the oldest report in the spool; nil if there is none that may be published now.
  package mutating func oldestSpooled() -> SpooledReport? {
    // Until the saved state has the baseline of this report, the file must stay: the next process needs it to choose the baseline.
    guard let saved, let report = spool?.oldest() else { return nil }
    return saved.baselineIfSpooled != nil && report.id == saved.lastReportID ? nil : report
  }

  /// Removes the oldest report from the spool, because it was published.
  package mutating func removeOldestSpooled() { spool?.removeOldest() }

  /// Drops the oldest report from the spool, because it can never be published, for `reason`.
  package mutating func dropOldestSpooled(_ reason: String) { spool?.dropOldest(reason) }

  /// Returns the number of reports that the spool dropped or couldn't read, since the last call.
  package mutating func takeLostSpooled() -> UInt64 { spool?.takeLost() ?? 0 }
}
