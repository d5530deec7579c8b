import CLinux
import Glibc

/// A directory that one process at a time writes to: the one that holds its lock (flock(2)).
///
/// All operations are relative to the open directory, so moving the directory or replacing it under its path never mixes
/// the files of two processes. The lock ends with its owner, even if the owner is killed, and leaves no file behind.
package struct PrivateDirectory: ~Copyable {
  private let descriptor: FileDescriptor

  /// Opens the directory at `path` and locks it.
  ///
  /// Throws `EAGAIN` if another process holds the lock for longer than `patience`.
  package init(_ path: String, patience: Duration = .zero) throws(Errno) {
    descriptor = try openLocked(path, patience: patience)
  }

  private init(owning descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }

  /// Opens the directory called `name` in this directory; nil if it is missing, unless `creates` is true.
  ///
  /// Its mode is 0700. The lock of this directory also protects that one. Throws `ELOOP` or `ENOTDIR` if it is a link.
  package borrowing func subdirectory(_ name: String, creates: Bool) throws(Errno) -> PrivateDirectory? {
    let parent = descriptor.rawValue
    if creates {
      if unsafe mkdirat(parent, name, 0o700) == 0 {
        // Without this flush, the new directory and its files might not survive a power failure.
        _ = try retryingOnInterrupt { fsync(parent) }
      } else if errno != EEXIST {
        throw .current
      }
    }
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    do throws(Errno) {
      return PrivateDirectory(
        owning: FileDescriptor(
          owning: try retryingOnInterrupt { unsafe clinux_openat(parent, name, flags, 0) }))
    } catch {
      if error == .noSuchFile { return nil }
      throw error
    }
  }

  /// Returns the name and the size in bytes of each regular file, in no particular order.
  package borrowing func files() throws(Errno) -> [(name: String, size: Int)] {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
    let copy = try retryingOnInterrupt { unsafe clinux_openat(descriptor.rawValue, ".", flags, 0) }
    guard let list = unsafe fdopendir(copy) else {
      let failure = Errno.current
      close(copy)
      throw failure
    }
    defer { unsafe closedir(list) }
    var files: [(name: String, size: Int)] = []
    while true {
      // Only errno distinguishes the end of the directory from an error (readdir(3)).
      errno = 0
      guard let entry = unsafe readdir(list) else {
        if errno != 0 { throw .current }
        break
      }
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      var status = stat()
      guard unsafe fstatat(descriptor.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
        status.st_mode & S_IFMT == S_IFREG
      else { continue }
      files.append((name, Int(status.st_size)))
    }
    return files
  }

  /// Removes the file called `name`, if it exists.
  package borrowing func remove(_ name: String) throws(Errno) {
    if unsafe unlinkat(descriptor.rawValue, name, 0) != 0, errno != ENOENT { throw .current }
  }

  /// Returns the directory's owner and its permission bits.
  package borrowing func access() throws(Errno) -> (owner: UInt32, permissions: UInt32) {
    var status = stat()
    if unsafe fstat(descriptor.rawValue, &status) != 0 { throw .current }
    return (status.st_uid, status.st_mode & 0o7777)
  }

  /// Atomically replaces the file called `name` with one that contains `contents` and that only its owner can read.
  ///
  /// A reader sees either the old file or the new one, even after a power failure. The contents are flushed before the
  /// rename, and the directory after it (fsync(2), rename(2)).
  package borrowing func replace(_ name: String, with contents: [UInt8]) throws(Errno) {
    let directory = descriptor.rawValue
    let temporary = name + ".new"
    // Remove a leftover of a process that was killed halfway, or another user's link.
    if unsafe unlinkat(directory, temporary, 0) != 0, errno != ENOENT { throw .current }
    do throws(Errno) {
      try write(contents, toNew: temporary)
      if unsafe renameat(directory, temporary, directory, name) != 0 { throw .current }
    } catch {
      // On a full disk, the partial file would take up space that something else needs.
      unsafe unlinkat(directory, temporary, 0)
      throw error
    }
    _ = try retryingOnInterrupt { fsync(directory) }
  }

  private borrowing func write(_ contents: [UInt8], toNew name: String) throws(Errno) {
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let file = FileDescriptor(
      owning: try retryingOnInterrupt { unsafe clinux_openat(descriptor.rawValue, name, flags, 0o600) })
    try file.writeAll(contents)
    _ = try retryingOnInterrupt { fsync(file.rawValue) }
  }

  /// Returns the contents of the file called `name`; see ``readPrivateFile(_:limit:in:)``.
  package borrowing func read(_ name: String, limit: Int) throws(Errno) -> [UInt8]? {
    try readPrivateFile(name, limit: limit, in: descriptor.rawValue)
  }

  /// Returns whether `path` still leads to this directory; false if another one has replaced it.
  ///
  /// Throws `ENOENT` if nothing exists at `path` any more.
  package borrowing func isAt(_ path: String) throws(Errno) -> Bool {
    var current = stat()
    if unsafe stat(path, &current) != 0 { throw .current }
    var own = stat()
    if unsafe fstat(descriptor.rawValue, &own) != 0 { throw .current }
    return current.st_dev == own.st_dev && current.st_ino == own.st_ino
  }

  /// Returns when the file called `name` was last written.
  package borrowing func modificationTime(of name: String) throws(Errno) -> WallTime {
    var status = stat()
    if unsafe fstatat(descriptor.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) != 0 { throw .current }
    return WallTime(secondsSinceEpoch: Int64(status.st_mtim.tv_sec))
  }

  /// Renames the file called `name` within this directory.
  package borrowing func rename(_ name: String, to other: String) throws(Errno) {
    if unsafe renameat(descriptor.rawValue, name, descriptor.rawValue, other) != 0 { throw .current }
  }
}

/// Opens the directory at `path` and locks it until it is closed.
private func openLocked(_ path: String, patience: Duration) throws(Errno) -> FileDescriptor {
  let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
  let directory = FileDescriptor(owning: try retryingOnInterrupt { unsafe clinux_open(path, flags, 0) })
  let deadline = BootTime.now.advanced(by: patience)
  while flock(directory.rawValue, LOCK_EX | LOCK_NB) != 0 {
    let failure = Errno.current
    if failure == .interrupted { continue }
    // Some network file systems can't lock a directory. Continue without a lock.
    guard failure == .wouldBlock else { break }
    guard BootTime.now < deadline else { throw .wouldBlock }
    _ = poll(nil, 0, 10)
  }
  return directory
}

/// Replaces the file at `path`, as ``PrivateDirectory/replace(_:with:)`` does.
///
/// Locks the directory, so that processes that replace files in it take turns. Otherwise one could remove another's
/// half-written file as a leftover. Throws `EAGAIN` if another process holds the lock for longer than `patience`.
package func replacePrivateFile(
  _ path: String, with contents: [UInt8], patience: Duration = .seconds(3)
) throws(Errno) {
  let slash = path.lastIndex(of: "/")
  let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
  try PrivateDirectory(parent, patience: patience).replace(name, with: contents)
}

/// Returns the contents of a file that belongs to this process's user; nil if there is no such file.
///
/// A relative `path` starts at `directory` (openat(2)). Throws `EPERM` if the file belongs to another user, `ELOOP` if it
/// is a symbolic link, `EINVAL` if it isn't a regular file, and `EFBIG` if it has more than `limit` bytes.
package func readPrivateFile(
  _ path: String, limit: Int, in directory: Int32 = AT_FDCWD
) throws(Errno) -> [UInt8]? {
  let descriptor: Int32
  do throws(Errno) {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    descriptor = try retryingOnInterrupt { unsafe clinux_openat(directory, path, flags, 0) }
  } catch {
    if error == .noSuchFile { return nil }
    // Opening a socket or another user's private file fails before its type and owner can be checked.
    var status = stat()
    if error != .tooManyLinks, unsafe fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0 {
      try requireOwnFile(status)
    }
    throw error
  }
  let file = FileDescriptor(owning: descriptor)
  var status = stat()
  if unsafe fstat(descriptor, &status) != 0 { throw .current }
  try requireOwnFile(status)
  var contents: [UInt8] = []
  while try file.read(into: &contents, limit: 65_536) > 0 {
    if contents.count > limit { throw .fileTooLarge }
  }
  return contents
}

private func requireOwnFile(_ status: stat) throws(Errno) {
  guard status.st_mode & S_IFMT == S_IFREG else { throw .invalidArgument }
  guard status.st_uid == geteuid() else { throw .notPermitted }
}
