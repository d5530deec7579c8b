import CLinux
import Glibc
package import Platform

/// The directory in which the baseline and the last report id survive a restart (`DEFENDER_STATE_DIRECTORY`).
///
/// It contains `state.json` and the files of other parts of the agent, which only their owner can read. One
/// process at a time locks it. If `state.json` is damaged, has another version or belongs to another user, it
/// is moved aside and not overwritten, so that the cause can be examined.
package struct StateDirectory: ~Copyable {
  /// The largest state file that is read; it has room for tens of thousands of interfaces.
  private static let maximumSize = 4 << 20
  private static let fileName = "state.json"

  private let directory: PrivateDirectory
  private let path: String
  private let origin: CounterOrigin
  private let log: Log

  /// Opens the directory at `path`, and creates it if it is missing; its parent must exist.
  ///
  /// Throws `EAGAIN` if another process holds it for longer than `patience`.
  package init(
    path: String, origin: CounterOrigin, log: Log, patience: Duration = .zero
  ) throws(Errno) {
    if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw .current }
    let opened = try PrivateDirectory(path, patience: patience)
    let (owner, permissions) = try opened.access()
    directory = opened
    self.path = path
    self.origin = origin
    self.log = log
    if let risk = Self.risk(owner: owner, permissions: permissions, user: geteuid()) {
      log.warn("The state directory \(path) \(risk)")
    }
  }

  /// Returns why somebody else can change the state in a directory, and how to prevent that; nil if nobody can.
  ///
  /// `owner` and `permissions` are the directory's; `user` is the user that runs this process. Root can change everything
  /// anyway.
  static func risk(owner: UInt32, permissions: UInt32, user: UInt32) -> String? {
    if owner != user, owner != 0 {
      return "belongs to user \(owner), who can tamper with reports. Make user \(user) its owner."
    }
    guard permissions & 0o022 != 0 else { return nil }
    return
      "is writable by group or others (mode \(String(permissions, radix: 8))), who can tamper with "
      + "reports. Set its mode to 700."
  }

  /// Returns the state that was saved last; an empty one if there is none, or none that can be used.
  ///
  /// The baseline is used only if boot, network namespace and procfs are the same as when it was saved. The
  /// id of the last report is used in any case, unless it is implausibly far ahead of the clock. If reading
  /// fails for a reason that may pass, throws that error.
  package borrowing func load(at now: WallTime) throws(Errno) -> SavedState {
    let bytes: [UInt8]
    let written: WallTime
    do throws(Errno) {
      guard let contents = try directory.read(Self.fileName, limit: Self.maximumSize) else {
        return SavedState()
      }
      bytes = contents
      written = try directory.modificationTime(of: Self.fileName)
    } catch {
      guard let reason = Self.reasonToSetAside(error) else { throw error }
      setAside(reason, at: now)
      return SavedState()
    }
    do throws(SavedStateError) {
      var (state, origin) = try SavedState.decode(bytes)
      let largest = ReportSequence.largestPlausibleID(at: now, written: written)
      guard state.lastReportID <= largest else { throw .reportID(state.lastReportID, largest: largest) }
      if origin != self.origin {
        state.baseline = nil
        state.baselineIfSpooled = nil
        log.info(
          "\(path)/\(Self.fileName) is from another boot, network namespace or procfs. "
            + "Deltas restart from the next snapshot."
        )
      }
      return state
    } catch {
      setAside("\(error)", at: now)
      return SavedState()
    }
  }

  /// Replaces the saved state.
  package borrowing func save(_ state: SavedState) throws(Errno) {
    try directory.replace(Self.fileName, with: state.encoded(origin))
  }

  /// Returns the contents of another file of this directory; nil if there is none. Throws if it can't be read.
  package borrowing func contents(of name: String) throws(Errno) -> [UInt8]? {
    try directory.read(name, limit: Self.maximumSize)
  }

  /// Replaces another file of this directory.
  package borrowing func replace(_ name: String, with contents: [UInt8]) throws(Errno) {
    try directory.replace(name, with: contents)
  }

  /// Opens the spool that an earlier process left; nil if there is none. Throws if a later attempt may succeed.
  borrowing func existingSpool(limit: Int, at now: WallTime) throws(Errno) -> Spool? {
    do throws(Errno) {
      return try spool(limit: limit, creates: false, at: now)
    } catch {
      // These errors last. They must not make the whole state unusable, in particular if the spool is off.
      guard [.tooManyLinks, .notADirectory, Errno(rawValue: EACCES)].contains(error) else { throw error }
      log.warn("\(path)/\(Spool.directoryName) can't be opened: \(error). Reports in it aren't published.")
      return nil
    }
  }

  /// Opens the spool in this directory; nil if there is none, unless `creates` is true.
  borrowing func spool(limit: Int, creates: Bool, at now: WallTime) throws(Errno) -> Spool? {
    guard let files = try directory.subdirectory(Spool.directoryName, creates: creates) else { return nil }
    // If the clock was ahead when the reports were written, or is behind now, the ids are still plausible.
    let written = try directory.modificationTime(of: Spool.directoryName)
    return try Spool(
      files, path: "\(path)/\(Spool.directoryName)", limit: limit, at: now, written: written, log: log)
  }

  /// Whether the path still leads to this directory, not to another one or to nothing.
  ///
  /// A path that can't be examined counts as unchanged, because the open directory may still work.
  package var isInPlace: Bool {
    do throws(Errno) {
      return try directory.isAt(path)
    } catch {
      return error != .noSuchFile
    }
  }

  /// Returns why a file can never be read; nil if a later attempt may succeed.
  static func reasonToSetAside(_ error: Errno) -> String? {
    switch error {
    case .notPermitted: "it belongs to another user"
    case .tooManyLinks: "it is a symbolic link"
    case .invalidArgument: "it isn't a regular file"
    case .fileTooLarge: "it is larger than \(maximumSize) bytes"
    default: nil
    }
  }

  private borrowing func setAside(_ reason: String, at now: WallTime) {
    let file = "\(path)/\(Self.fileName)"
    let place = "\(Self.fileName).\(now.secondsSinceEpoch).unusable"
    let consequence = "Deltas restart from the next snapshot, and report ids follow the clock."
    do throws(Errno) {
      try directory.rename(Self.fileName, to: place)
      log.warn("\(file) can't be used: \(reason). It was moved to \(path)/\(place). \(consequence)")
    } catch {
      log.warn("\(file) can't be used: \(reason). It can't be moved aside: \(error). \(consequence)")
    }
  }
}

extension CounterOrigin {
  /// Returns the origin of the counters that `procfs` shows.
  ///
  /// Reads `sys/kernel/random/boot_id` (proc_sys_kernel(5)).
  package static func current(_ procfs: ProcRoot) throws(CollectionError) -> CounterOrigin {
    let contents = try procfs.firstBytes(of: "sys/kernel/random/boot_id", count: 64)
    let bootID = String(decoding: contents.prefix { $0 > 0x20 }, as: UTF8.self)
    var status = stat()
    let file = "\(procfs.path)/\(procfs.networkDirectory)/dev"
    if unsafe stat(file, &status) != 0 { throw .unreadable(path: file, .current) }
    return CounterOrigin(bootID: bootID, networkNamespace: UInt64(status.st_ino), procfs: procfs.path)
  }
}
