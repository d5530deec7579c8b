import Glibc
import Platform

extension SystemMetric.Kind {
  static let processCount = Self(
    "process_count", "processes that there are",
    .now { (files) throws(CollectionError) in try countOfProcesses(in: files.procfs) })
}

/// How many directories of the proc file system are a number.
private func countOfProcesses(in procfs: ProcRoot) throws(CollectionError) -> Double {
  guard let directory = unsafe opendir(procfs.path) else {
    throw .unreadable(path: procfs.path, .current)
  }
  defer { unsafe closedir(directory) }
  var count = 0
  while let entry = unsafe readdir(directory) {
    let first = unsafe UInt8(bitPattern: entry.pointee.d_name.0)
    if (0x31...0x39).contains(first) { count += 1 }
  }
  return Double(count)
}
