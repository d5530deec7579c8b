import Glibc
import Platform

extension ConfigurationReader {
  /// Returns the path of the state directory; nil if the variable isn't set or the path is relative.
  ///
  /// Notes a directory that isn't writable, or that doesn't exist and can't be created. A read-only file system isn't a
  /// mistake in the configuration: the agent then reports without saved state.
  mutating func stateDirectory() -> String? {
    guard let path = absolutePath(.stateDirectory), path.hasPrefix("/") else { return nil }
    if let obstacle = obstacle(toStateIn: path), obstacle != .readOnlyFileSystem {
      note(.stateDirectory, "is '\(path)', which isn't writable: \(obstacle)")
    }
    return path
  }
}

/// Returns why the directory at `path` isn't writable or can't be created; nil if it is writable or can be created.
private func obstacle(toStateIn path: String) -> Errno? {
  var status = stat()
  if unsafe stat(path, &status) == 0 {
    guard status.st_mode & S_IFMT == S_IFDIR else { return .notADirectory }
    return unsafe access(path, W_OK | X_OK) == 0 ? nil : .current
  }
  let failure = Errno.current
  guard failure == .noSuchFile else { return failure }
  let slash = UInt8(ascii: "/")
  // The parent is the part before the last name. Slashes may follow that name.
  let name = path.utf8.lastIndex { $0 != slash } ?? path.startIndex
  let parent = path.utf8[..<name].lastIndex(of: slash).map { String(path[..<$0]) + "/" } ?? "/"
  return unsafe access(parent, W_OK | X_OK) == 0 ? nil : .current
}
