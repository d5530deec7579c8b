package import Platform

/// Keeps the state on disk. While that fails, reports continue without a saved state.
///
/// If the directory can't be opened or another process holds it, each report tries again. So a second process
/// takes over when the first one ends, and a disk that was full or read-only is used again as soon as
/// possible.
package struct StateKeeper: ~Copyable {
  /// The same failure is logged at most once in this time.
  static let repeatInterval = Duration.seconds(3_600)

  /// Nil if there is no state to keep.
  let path: String?
  private let procfs: ProcRoot
  let log: Log
  private(set) var directory: StateDirectory?
  /// The state that is on disk; nil if unknown.
  private(set) var saved: SavedState?
  /// The largest size of the spool in bytes; 0 if no report is added to it.
  let spoolLimit: Int
  /// The reports that wait to be published; nil if the directory isn't open or has no spool.
  var spool: Spool?
  /// When the spool is tried again after a failure; nil if it works.
  var spoolOffUntil: BootTime?
  private var failures = RepeatFilter(interval: Self.repeatInterval)
  private var isFailing = false

  /// Creates a keeper for the directory at `path`; if nil, it keeps nothing. `procfs` is the source of the
  /// counters, and `spoolLimit` the largest size of the spool in bytes.
  package init(path: String?, procfs: ProcRoot, log: Log, spoolLimit: Int = 0) {
    self.path = path
    self.procfs = procfs
    self.log = log
    self.spoolLimit = spoolLimit
    directory = nil
    spool = nil
  }

  /// Opens the directory and returns the saved state; nil if the directory is already open or can't be
  /// opened.
  ///
  /// Waits up to `patience` for another process to release it.
  package mutating func open(at time: any TimeSource, patience: Duration = .zero) -> SavedState? {
    leaveMovedDirectory(at: time.bootTime)
    guard let path, directory == nil else { return nil }
    do {
      let origin = try CounterOrigin.current(procfs)
      let opened = try StateDirectory(path: path, origin: origin, log: log, patience: patience)
      var state = try opened.load(at: time.wallTime)
      spool = try opened.existingSpool(limit: spoolLimit, at: time.wallTime)
      continueFromSpool(&state)
      directory = consume opened
      noteSuccess("is available now")
      return state
    } catch let error as Errno where error == .wouldBlock {
      noteFailure(
        "is in use by another process. This agent reports without state until that process ends, and the two may "
          + "use the same report ids. Give each agent its own directory.",
        isError: false, at: time.bootTime)
    } catch {
      // Reporting without state is better than not reporting.
      noteFailure("can't be used: \(error). Reports continue without state.", at: time.bootTime)
    }
    return nil
  }

  /// Saves `state`, unless that is on disk already.
  package mutating func save(_ state: SavedState, at time: any TimeSource) {
    leaveMovedDirectory(at: time.bootTime)
    guard directory != nil, state != saved else { return }
    do throws(Errno) {
      try directory?.save(state)
      saved = state
      noteSuccess("can be written to again")
    } catch {
      noteFailure(
        "can't be written to: \(error). Reports continue, but a restart would begin with an older state.",
        at: time.bootTime)
      // The directory was removed; the next report creates it again.
      if error == .noSuchFile { close() }
    }
  }

  /// Closes the directory. The next report opens or creates it.
  mutating func close() {
    directory = nil
    spool = nil
    saved = nil
  }

  /// Returns the contents of another file of the open directory; nil if there is none.
  package borrowing func contents(of name: String) -> [UInt8]? {
    do throws(Errno) {
      return try directory?.contents(of: name) ?? nil
    } catch {
      log.warn("\(path ?? "")/\(name) can't be read: \(error). Its contents are ignored.")
      return nil
    }
  }

  /// Replaces another file of the directory, if the directory is open.
  package mutating func replace(_ name: String, with contents: [UInt8], at time: any TimeSource) {
    guard directory != nil else { return }
    do throws(Errno) {
      try directory?.replace(name, with: contents)
    } catch {
      noteFailure(
        "can't be written to: \(error). Reports continue, but a restart would begin with an older state.",
        at: time.bootTime)
    }
  }

  /// Closes the directory if `path` no longer leads to it, because a restart wouldn't find a state saved
  /// there.
  private mutating func leaveMovedDirectory(at now: BootTime) {
    guard directory?.isInPlace == false else { return }
    close()
    noteFailure(
      "was moved, replaced or removed. The next report opens or creates the directory at this path.",
      isError: false, at: now)
  }

  private mutating func noteFailure(_ text: String, isError: Bool = true, at now: BootTime) {
    isFailing = true
    let line = "DEFENDER_STATE_DIRECTORY '\(path ?? "")' \(text)"
    guard failures.allows(text, at: now) else { return log.debug(line) }
    if isError { log.error(line) } else { log.warn(line) }
  }

  private mutating func noteSuccess(_ text: String) {
    guard isFailing else { return }
    isFailing = false
    log.info("DEFENDER_STATE_DIRECTORY '\(path ?? "")' \(text).")
  }
}
