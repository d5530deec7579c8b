import Glibc
import Platform

extension SystemMetric.Kind {
  /// Counts as df(1) does: of what users may have.
  ///
  /// statvfs(3) waits for a network file system that doesn't answer; such a one isn't for choosing.
  static let diskUsage = Self(
    "disk_usage", "used space where a directory is (disk_usage:/var), in percent",
    takesDirectory: true,
    .now { (files) throws(CollectionError) in
      var status = statvfs()
      do throws(Errno) {
        _ = try retryingOnInterrupt { unsafe statvfs(files.directory, &status) }
      } catch {
        throw .unreadable(path: files.directory, error)
      }
      let used = Double(status.f_blocks) - Double(status.f_bfree)
      return percent(used, of: used + Double(status.f_bavail))
    })
}
