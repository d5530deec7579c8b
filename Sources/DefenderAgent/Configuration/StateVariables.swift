import Glibc
import Platform

extension ConfigurationReader {
  /// Returns the state directory: one that exists, or that can be created in one that exists.
  ///
  /// A read-only file system isn't a mistake in the configuration: reports are made without saved state then.
  mutating func stateDirectory() -> String? {
    guard let path = absolutePath(.stateDirectory), path.hasPrefix("/") else { return nil }
    if let obstacle = obstacle(toStateIn: path), obstacle != .readOnlyFileSystem {
      note(.stateDirectory, "is '\(path)', which can't be written to: \(obstacle)")
    }
    return path
  }
}

/// Why no file can be written in a directory at `path`, or the directory can't be created; nil if nothing is in the way.
private func obstacle(toStateIn path: String) -> Errno? {
  var status = stat()
  if unsafe stat(path, &status) == 0 {
    guard status.st_mode & S_IFMT == S_IFDIR else { return .notADirectory }
    return unsafe access(path, W_OK | X_OK) == 0 ? nil : .current
  }
  let failure = Errno.current
  guard failure == .noSuchFile else { return failure }
  let slash = UInt8(ascii: "/")
  // Before the last name, which slashes may follow.
  let name = path.utf8.lastIndex { $0 != slash } ?? path.startIndex
  let parent = path.utf8[..<name].lastIndex(of: slash).map { String(path[..<$0]) + "/" } ?? "/"
  return unsafe access(parent, W_OK | X_OK) == 0 ? nil : .current
}
