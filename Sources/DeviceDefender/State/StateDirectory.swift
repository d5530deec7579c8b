import CLinux
import Glibc
package import Platform

/// The directory in which baseline and report number outlive a restart (`DEFENDER_STATE_DIRECTORY`).
///
/// One file, `state.json`, private to its owner. A file that is damaged, of another version or somebody else's is moved
/// aside, not overwritten: whoever has to find out what happened still has it.
package struct StateDirectory {
  /// More interfaces than fit in this have no state.
  private static let maximumSize = 4 << 20

  private let path: String
  private let origin: CounterOrigin
  private let log: Log

  /// The directory at `path`, which is made where it is missing; its parent has to be there.
  package init(path: String, origin: CounterOrigin, log: Log) throws(Errno) {
    if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw .current }
    var status = stat()
    if unsafe stat(path, &status) != 0 { throw .current }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw Errno(rawValue: ENOTDIR) }
    self.path = path
    self.origin = origin
    self.log = log
    if status.st_mode & 0o022 != 0 {
      log.warn("\(path): others than the owner can write here, and with that change what is reported")
    }
  }

  private var file: String { "\(path)/state.json" }

  /// What was saved last; an empty state where nothing was, or where it can't be used.
  ///
  /// The baseline counts only on the machine as it was: same boot, same network namespace, same procfs. The number of
  /// the last report counts in any case.
  package func load() -> SavedState {
    let bytes: [UInt8]?
    do throws(Errno) {
      bytes = try readPrivateFile(file, limit: Self.maximumSize)
    } catch {
      setAside("\(error)")
      return SavedState()
    }
    guard let bytes else { return SavedState() }
    do throws(SavedStateError) {
      var (state, origin) = try SavedState.decode(bytes)
      if origin != self.origin {
        state.baseline = nil
        log.info("\(file): of another boot, network namespace or procfs; deltas begin anew")
      }
      return state
    } catch {
      setAside("\(error)")
      return SavedState()
    }
  }

  /// Saves the state in place of the last one.
  package func save(_ state: SavedState) throws(Errno) {
    try replacePrivateFile(file, with: state.encoded(origin))
  }

  private func setAside(_ reason: String) {
    let place = "\(file).\(WallTime.now.secondsSinceEpoch).unusable"
    do throws(Errno) {
      _ = try retryingOnInterrupt { unsafe rename(file, place) }
      log.warn("\(file): \(reason); moved to \(place), and deltas begin anew")
    } catch {
      log.warn("\(file): \(reason); and it can't be moved aside: \(error). Deltas begin anew")
    }
  }
}

extension CounterOrigin {
  /// What the counters that `procfs` shows belong to.
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
