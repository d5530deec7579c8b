import CLinux
import Glibc

/// The version of a file as the file system knows it. It changes whenever the file is written, renamed or replaced.
///
/// Follows symbolic links, so the version also changes if a link or a directory on the path leads to another file.
package struct FileVersion: Equatable, Sendable {
  private var device: dev_t = 0
  private var inode: ino_t = 0
  private var size: off_t = 0
  private var modified = Time()
  private var changed = Time()

  private struct Time: Equatable, Sendable {
    var seconds = 0
    var nanoseconds = 0
  }

  /// Reads the version of the file at `path`; a missing file is a version, too.
  package init(path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    device = status.st_dev
    inode = status.st_ino
    size = status.st_size
    modified = Time(seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    changed = Time(seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
  }

  /// Whether any later change of the file is certain to change its version. File systems store times with a resolution of up to
  /// two seconds, so a file that has just changed can change again and keep its version.
  package func isSettled(at now: WallTime) -> Bool {
    WallTime(secondsSinceEpoch: Int64(max(modified.seconds, changed.seconds))).duration(to: now) > .seconds(3)
  }
}
