import CLinux
import Glibc

/// Replaces the file at `path` by one of `contents` that only its owner can read, all at once.
///
/// Whoever reads the path sees the old file or the new one, after a loss of power as well: the contents are on the disk
/// before the name is, and the name before this returns (fsync(2), rename(2)).
///
/// Processes that replace files of one directory take turns; throws `EAGAIN` where the turn of another takes too long.
package func replacePrivateFile(_ path: String, with contents: [UInt8]) throws(Errno) {
  let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  let directory = FileDescriptor(
    owning: try retryingOnInterrupt { unsafe clinux_open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) })
  try takeTurn(in: directory)
  let temporary = path + ".new"
  // What a process that was ended halfway left behind, or somebody's link.
  if unsafe unlink(temporary) != 0, errno != ENOENT { throw .current }
  do throws(Errno) {
    try write(contents, toNew: temporary)
    if unsafe rename(temporary, path) != 0 { throw .current }
  } catch {
    // On a full disk, what could be written of it would take the place of something else.
    unsafe unlink(temporary)
    throw error
  }
  _ = try retryingOnInterrupt { fsync(directory.rawValue) }
}

/// Keeps others who ask from writing in a directory until `directory` is closed (flock(2)); waits three seconds at most.
///
/// Without turns, one process takes the half-written file of another for what was left behind.
private func takeTurn(in directory: borrowing FileDescriptor) throws(Errno) {
  for _ in 0..<300 {
    // Where a file system has no locks for directories, nobody waits for anybody.
    if flock(directory.rawValue, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK { return }
    _ = poll(nil, 0, 10)
  }
  throw .wouldBlock
}

private func write(_ contents: [UInt8], toNew path: String) throws(Errno) {
  let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
  let file = FileDescriptor(owning: try retryingOnInterrupt { unsafe clinux_open(path, flags, 0o600) })
  try file.writeAll(contents)
  _ = try retryingOnInterrupt { fsync(file.rawValue) }
}

/// The contents of a file that belongs to this process's user; nil where there is none.
///
/// Throws `EPERM` for somebody else's, `ELOOP` for a link, `EINVAL` for what isn't a regular file, `EFBIG` where it
/// has more than `limit` bytes.
package func readPrivateFile(_ path: String, limit: Int) throws(Errno) -> [UInt8]? {
  let descriptor: Int32
  do throws(Errno) {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    descriptor = try retryingOnInterrupt { unsafe clinux_open(path, flags, 0) }
  } catch {
    if error == .noSuchFile { return nil }
    throw error
  }
  let file = FileDescriptor(owning: descriptor)
  var status = stat()
  if unsafe fstat(descriptor, &status) != 0 { throw .current }
  guard status.st_mode & S_IFMT == S_IFREG else { throw .invalidArgument }
  guard status.st_uid == geteuid() else { throw Errno(rawValue: EPERM) }
  var contents: [UInt8] = []
  while try file.read(into: &contents, limit: 65_536) > 0 {
    if contents.count > limit { throw .fileTooLarge }
  }
  return contents
}
