import Glibc
import Platform

extension SystemMetric.Kind {
  static let processCount = Self(
    "process_count", "number of processes",
    .now { (files) throws(CollectionError) in try countOfProcesses(in: files.procfs) })
}

/// Returns the number of directories of the proc file system whose name is a number.
///
/// Process 1 exists as long as its namespace. If it isn't visible, the file system was mounted with `hidepid`
/// (proc(5)), and only our own user's processes would be counted.
private func countOfProcesses(in procfs: ProcRoot) throws(CollectionError) -> Double {
  guard let directory = unsafe opendir(procfs.path) else {
    throw .unreadable(path: procfs.path, .current)
  }
  defer { unsafe closedir(directory) }
  var count = 0
  var seesFirst = false
  while let entry = unsafe readdir(directory) {
    let name = unsafe (entry.pointee.d_name.0, entry.pointee.d_name.1)
    if (0x31...0x39).contains(name.0) { count += 1 }
    if name == (0x31, 0) { seesFirst = true }
  }
  guard seesFirst else {
    throw .notMeasured(
      path: procfs.path,
      reason:
        "processes of other users are hidden (mount option hidepid); add the agent's user to the group in the mount "
        + "option gid="
    )
  }
  return Double(count)
}
