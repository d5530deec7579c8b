import Glibc
import Platform

extension SystemMetric.Kind {
  /// Computes the "Use%" of df(1): the used share of the space available to users. A file system without blocks
  /// (procfs, or a remote one whose server reports none), for which df prints "-", counts as not measured.
  ///
  /// Don't configure it for a network file system: statvfs(3) blocks while its server doesn't answer.
  static let diskUsage = Self(
    "disk_usage", "used space of a file system (disk_usage:/var), in percent",
    unit: "%", acceptsDirectory: true,
    .now { (files) throws(CollectionError) in
      var status = statvfs()
      do throws(Errno) {
        _ = try retryingOnInterrupt { unsafe statvfs(files.directory, &status) }
      } catch {
        throw .unreadable(path: files.directory, error)
      }
      return try diskUsagePercent(
        blocks: UInt64(status.f_blocks), free: UInt64(status.f_bfree), available: UInt64(status.f_bavail),
        directory: files.directory)
    })
}

/// Returns the used share of a file system in percent, computed from the block counts of statvfs(3).
func diskUsagePercent(
  blocks: UInt64, free: UInt64, available: UInt64, directory: String
) throws(CollectionError) -> Double {
  guard blocks > 0, free <= blocks else {
    let reason =
      blocks == 0
      ? "the file system reports no blocks, so its usage is undefined (df prints '-')"
      : "the file system reports more free blocks than it has"
    throw .notMeasured(path: directory, reason: reason)
  }
  let used = Double(blocks) - Double(free)
  // If root uses the blocks reserved for it, some file systems report a negative number here, as df(1) shows.
  let usable = used + max(0, Double(Int64(bitPattern: available)))
  guard usable > 0 else {
    throw .notMeasured(path: directory, reason: "no block is used and none is available (df prints '-')")
  }
  return percent(used, of: usable)
}
