import CLinux
import Glibc

/// Why a file can't be written.
package enum OutputFileError: Error, Equatable, Sendable, CustomStringConvertible {
  case system(Errno)
  /// A link on the way to the file that belongs to neither this user nor root.
  case foreignLink(String, owner: UInt32)

  package var description: String {
    switch self {
    case .system(let errno): "\(errno)"
    case .foreignLink(let path, let owner):
      "'\(path)' is a link that belongs to another user (\(owner)). Name the file itself, or remove the link"
    }
  }
}

/// A file that a user named for output, and that begins anew.
///
/// It has its name once ``publish()`` was called: until then whoever reads the path sees the file that was there before,
/// which stays if nothing comes of the new one. Links of other users aren't followed: one that somebody put into a shared
/// directory would have this program overwrite any file that its own user can write.
package struct OutputFile: ~Copyable {
  private let file: FileDescriptor
  private let directory: FileDescriptor
  private let name: String
  private let temporaryName: String
  private var isPublished = false
  /// The number of bytes that were written whole.
  private var length = 0

  /// Opens a new file to take the place of that at `path`; nil if there is a pipe, a device or another thing that isn't
  /// replaced but written to. Follows links that belong to `user` or to root, and no others.
  package static func open(
    _ path: String, as user: UInt32 = geteuid()
  ) throws(OutputFileError) -> OutputFile? {
    guard let path = try destination(of: path, user) else { return nil }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard let name = parts.last.map(String.init), !name.isEmpty, name != ".", name != ".." else {
      throw .system(Errno(rawValue: EISDIR))
    }
    let parent = parts.dropLast().joined(separator: "/")
    do throws(Errno) {
      let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
      let folder = parts.count == 1 ? "." : parent.isEmpty ? "/" : parent
      let directory = FileDescriptor(
        owning: try retryingOnInterrupt { unsafe clinux_open(folder, flags, 0) })
      return try OutputFile(name, in: directory)
    } catch {
      throw .system(error)
    }
  }

  private init(_ name: String, in directory: consuming FileDescriptor) throws(Errno) {
    var former = stat()
    let exists = unsafe fstatat(directory.rawValue, name, &former, AT_SYMLINK_NOFOLLOW) == 0
    let temporaryName = ".\(name.utf8.count > 200 ? "output" : name).\(getpid()).new"
    // What a process of our number left behind, or somebody's link.
    unsafe unlinkat(directory.rawValue, temporaryName, 0)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let folder = directory.rawValue
    file = FileDescriptor(
      owning: try retryingOnInterrupt { unsafe clinux_openat(folder, temporaryName, flags, 0o644) })
    // Who kept the former file from others keeps this one, too.
    if exists, former.st_mode & S_IFMT == S_IFREG { fchmod(file.rawValue, former.st_mode & 0o777) }
    self.directory = directory
    self.name = name
    self.temporaryName = temporaryName
  }

  deinit {
    if !isPublished { unsafe unlinkat(directory.rawValue, temporaryName, 0) }
  }

  /// Appends all of `bytes`, or none of them.
  package mutating func append(_ bytes: [UInt8]) throws(Errno) {
    do throws(Errno) {
      try file.writeAll(bytes)
      length += bytes.count
    } catch {
      _ = ftruncate(file.rawValue, off_t(length))
      lseek(file.rawValue, off_t(length), SEEK_SET)
      throw error
    }
  }

  /// Gives the file its name, in the place of what had it; does nothing if it has it.
  package mutating func publish() throws(Errno) {
    if isPublished { return }
    let folder = directory.rawValue
    _ = try retryingOnInterrupt { unsafe renameat(folder, temporaryName, folder, name) }
    isPublished = true
  }
}

/// The path behind the links of `path`; nil if that isn't a regular file, and isn't to become one.
///
/// All links have to be the user's own, or root's: those of the system, such as /dev/stdout.
private func destination(of path: String, _ user: UInt32) throws(OutputFileError) -> String? {
  var path = path
  for _ in 0..<40 {
    try checkDirectories(of: path, user)
    var status = stat()
    if unsafe lstat(path, &status) != 0 {
      if errno == ENOENT { return path }
      throw .system(.current)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return path
    case S_IFLNK: try checkOwner(of: path, status, user)
    case S_IFDIR: throw .system(Errno(rawValue: EISDIR))
    default: return nil
    }
    // A link of procfs leads to an open file, and its text is no path (proc_pid_fd(5)).
    var system = statfs()
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    if unsafe statfs(folder.isEmpty ? "." : folder, &system) == 0, system.f_type == 0x9FA0 { return nil }
    var text = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink(path, &text, text.count)
    if count < 0 { throw .system(.current) }
    let target = String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = target.hasPrefix("/") ? target : folder + target
  }
  throw .system(Errno(rawValue: ELOOP))
}

private func checkDirectories(of path: String, _ user: UInt32) throws(OutputFileError) {
  for index in path.indices where path[index] == "/" && index > path.startIndex {
    var status = stat()
    let directory = String(path[..<index])
    if unsafe lstat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
      try checkOwner(of: directory, status, user)
    }
  }
}

private func checkOwner(of path: String, _ status: stat, _ user: UInt32) throws(OutputFileError) {
  if status.st_uid != user, status.st_uid != 0 { throw .foreignLink(path, owner: status.st_uid) }
}
