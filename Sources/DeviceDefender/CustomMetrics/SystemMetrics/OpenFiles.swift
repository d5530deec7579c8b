extension SystemMetric.Kind {
  /// Reads `sys/fs/file-nr` (proc_sys_fs(5)).
  static let openFiles = Self(
    "open_files", "open files of the whole system",
    .now { (files) throws(CollectionError) in try files.positiveNumber(in: "sys/fs/file-nr", column: 0) })
}
