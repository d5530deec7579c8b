import CLinux
import Glibc

/// An output file that a user named, which replaces any existing file.
///
/// The file appears under its name when ``publish()`` is called. Until then, readers of the path see the existing file,
/// which remains if the new one is never published. The new file gets the owner, group and permissions of the existing
/// one. If the file can't be replaced (it is a mount point, its directory is read-only, its owner can't be kept), it is
/// overwritten.
///
/// Links of other users aren't followed: in a shared directory, one could lead to any file that this user can write.
package struct OutputFile: ~Copyable {
  private let directory: FileDescriptor
  private let name: String
  /// The existing file, open for writing; nil if there is none.
  private let former: Int32?
  // The owners of the existing file and of the new one.
  private let formerOwner: FileDescriptor?
  private let newOwner: FileDescriptor?
  /// The name of the new file until it is published; nil if it is, or if the existing file is overwritten.
  private var temporaryName: String?
  /// The descriptor of the file, new or existing, that the bytes are written to.
  private var target: Int32
  /// The number of bytes from complete calls of ``append(_:)``.
  private var length = 0

  /// Opens a file to replace the one at `path`; returns nil for a pipe, device or socket. Follows only links that belong
  /// to `user` or to root.
  package static func open(
    _ path: String, as user: UInt32 = geteuid()
  ) throws(OutputFileError) -> OutputFile? {
    guard let path = try destination(of: path, user) else { return nil }
    let start = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    let folder = start == path.startIndex ? "." : String(path[..<start])
    do throws(Errno) {
      // The directory is only used to look up names: one that can't be listed may still contain a writable file.
      let flags = clinux_path_only | O_DIRECTORY | O_CLOEXEC
      let directory = FileDescriptor(
        owning: try retryingOnInterrupt { unsafe clinux_open(folder, flags, 0) })
      let name = String(path[start...])
      let existing = try openExisting(name, in: directory.rawValue)
      switch (TemporaryFile.create(for: name, in: directory.rawValue, replacing: existing), existing) {
      case (.failure(let error), nil): throw error
      case (let made, _): return OutputFile(name, in: directory, existing, try? made.get())
      }
    } catch {
      throw .system(error)
    }
  }

  /// Creates a file that replaces `existing` with `new`, or that overwrites `existing` if `new` is nil.
  private init(
    _ name: String, in directory: consuming FileDescriptor, _ existing: Int32?, _ new: TemporaryFile?
  ) {
    self.directory = directory
    self.name = name
    former = existing
    formerOwner = existing.map { FileDescriptor(owning: $0) }
    newOwner = new.map { FileDescriptor(owning: $0.descriptor) }
    temporaryName = new?.name
    target = new?.descriptor ?? existing ?? -1
  }

  deinit {
    if let temporaryName { unsafe unlinkat(directory.rawValue, temporaryName, 0) }
  }

  /// Appends all of `bytes`, or none of them.
  package mutating func append(_ bytes: [UInt8]) throws(Errno) {
    do throws(Errno) {
      // An existing file keeps its contents until there is something to overwrite them with.
      if length == 0 { _ = try retryingOnInterrupt { ftruncate(target, 0) } }
      try writeAll(bytes, to: target)
      length += bytes.count
    } catch {
      _ = ftruncate(target, off_t(length))
      lseek(target, off_t(length), SEEK_SET)
      throw error
    }
  }

  /// Gives the new file its name, replacing the existing file; does nothing if the file is already in place.
  package mutating func publish() throws(Errno) {
    guard let temporaryName else { return }
    let folder = directory.rawValue
    do throws(Errno) {
      if let former { try keepOwnerAndPermissions(of: former) }
      _ = try retryingOnInterrupt { unsafe renameat(folder, temporaryName, folder, name) }
      flock(target, LOCK_UN)
    } catch {
      guard let former else { throw error }
      try overwrite(former)
      unsafe unlinkat(folder, temporaryName, 0)
    }
    self.temporaryName = nil
  }

  private func keepOwnerAndPermissions(of existing: Int32) throws(Errno) {
    var wanted = stat()
    var status = stat()
    _ = try retryingOnInterrupt { unsafe fstat(existing, &wanted) }
    _ = try retryingOnInterrupt { unsafe fstat(target, &status) }
    if (status.st_uid, status.st_gid) != (wanted.st_uid, wanted.st_gid) {
      // An owner of -1 means "leave it unchanged". Without privileges, a process can change only the group, to another of
      // its user's groups.
      let owner = status.st_uid == wanted.st_uid ? uid_t.max : wanted.st_uid
      _ = try retryingOnInterrupt { fchown(target, owner, wanted.st_gid) }
    }
    // If the existing file belongs to another user, its permissions must not make the new file writable by others.
    let allowed: mode_t = wanted.st_uid == geteuid() ? 0o777 : 0o644
    _ = try retryingOnInterrupt { fchmod(target, wanted.st_mode & allowed) }
  }

  /// Copies the new file over the existing one, which then receives all further bytes.
  private mutating func overwrite(_ existing: Int32) throws(Errno) {
    _ = try retryingOnInterrupt { ftruncate(existing, 0) }
    var copied = 0
    while copied < length {
      var piece = [UInt8](repeating: 0, count: min(65_536, length - copied))
      let count = try retryingOnInterrupt {
        unsafe pread(target, &piece, piece.count, off_t(copied))
      }
      if count == 0 { break }
      try writeAll(Array(piece.prefix(count)), to: existing)
      copied += count
    }
    target = existing
  }
}

/// Opens the regular file `name` for writing without changing it; returns nil if it doesn't exist.
///
/// A file that this user can't write isn't replaced, even if the directory would allow it.
private func openExisting(_ name: String, in directory: Int32) throws(Errno) -> Int32? {
  let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
  let descriptor: Int32
  do throws(Errno) {
    descriptor = try retryingOnInterrupt { unsafe clinux_openat(directory, name, flags, 0) }
  } catch {
    if error == .noSuchFile { return nil }
    throw error
  }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
    close(descriptor)
    // The file was replaced after `destination(of:_:)` checked it.
    throw Errno(rawValue: EEXIST)
  }
  return descriptor
}
