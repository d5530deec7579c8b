import CLinux
import Glibc

/// A file that has not yet been published under its final name.
///
/// Its process holds a lock on it (flock(2)), which processes in other PID namespaces can see, too. A file without a lock
/// is a leftover of a process that was killed.
struct TemporaryFile {
  let descriptor: Int32
  let name: String

  private static let end = ".new"

  /// Creates the file that will become `name`, and removes leftovers. If it replaces a file, no other user can read it.
  static func create(for name: String, in directory: Int32, replacing existing: Int32?) -> Result<Self, Errno>
  {
    let start = ".\(name.utf8.count > 200 ? "output" : name)."
    removeLeftovers(start, in: directory)
    let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    // Another process may remove the file as a leftover before it is locked.
    for _ in 0..<3 {
      let name = start + String(UInt64.random(in: 0 ... .max), radix: 16) + end
      do throws(Errno) {
        let descriptor = try retryingOnInterrupt {
          unsafe clinux_openat(directory, name, flags, existing == nil ? 0o644 : 0o600)
        }
        if isOwned(descriptor) { return .success(TemporaryFile(descriptor: descriptor, name: name)) }
        unsafe unlinkat(directory, name, 0)
        close(descriptor)
      } catch {
        return .failure(error)
      }
    }
    return .failure(.wouldBlock)
  }

  /// Locks a new file; returns false if another process has removed it or is about to.
  private static func isOwned(_ descriptor: Int32) -> Bool {
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      // On a file system without locks, no leftovers are removed, so the file is safe.
      return errno != EWOULDBLOCK
    }
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 && status.st_nlink > 0
  }

  private static func removeLeftovers(_ start: String, in directory: Int32) {
    let opened = unsafe clinux_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard opened >= 0 else { return }
    guard let list = unsafe fdopendir(opened) else {
      close(opened)
      return
    }
    defer { unsafe closedir(list) }
    while let entry = unsafe readdir(list) {
      let found = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard found.hasPrefix(start), found.hasSuffix(end) else { continue }
      let number = found.dropFirst(start.count).dropLast(end.count)
      if number.utf8.count <= 16, UInt64(number, radix: 16) != nil { removeIfLeftover(found, in: directory) }
    }
  }

  private static func removeIfLeftover(_ found: String, in directory: Int32) {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let descriptor = unsafe clinux_openat(directory, found, flags, 0)
    guard descriptor >= 0 else { return }
    let file = FileDescriptor(owning: descriptor)
    var status = stat()
    guard unsafe fstat(file.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_uid == geteuid(), flock(file.rawValue, LOCK_EX | LOCK_NB) == 0
    else { return }
    unsafe unlinkat(directory, found, 0)
  }
}
