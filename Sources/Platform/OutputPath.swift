import CLinux
import Glibc

/// The reason why an output file can't be written.
package enum OutputFileError: Error, Equatable, Sendable, CustomStringConvertible {
  case system(Errno)
  /// A link in the path belongs to neither this user nor root.
  case foreignLink(String, owner: UInt32)

  package var description: String {
    switch self {
    case .system(let errno): "\(errno)"
    case .foreignLink(let path, let owner):
      "'\(path)' is a symbolic link that belongs to another user (\(owner)). Name the file itself, or remove the link"
    }
  }
}

/// Returns `path` with its links resolved; nil for a pipe, device or socket.
///
/// Every link, including those that other links lead to, must belong to `user` or to root. Root owns those of the system,
/// such as /dev/stdout.
func destination(of path: String, _ user: UInt32) throws(OutputFileError) -> String? {
  var done = path.hasPrefix("/") ? "/" : ""
  var rest = Array(path.split(separator: "/").map(String.init).reversed())
  // A trailing slash requires a directory.
  if path.hasSuffix("/") { rest.insert(".", at: 0) }
  var links = 0
  while let part = rest.popLast() {
    let next = done + part
    var status = stat()
    guard unsafe lstat(next, &status) == 0 else {
      if errno == ENOENT, rest.isEmpty { return next }
      throw .system(.current)
    }
    switch status.st_mode & S_IFMT {
    case S_IFLNK:
      if status.st_uid != user, status.st_uid != 0 { throw .foreignLink(next, owner: status.st_uid) }
      links += 1
      guard links <= 40 else { throw .system(.tooManyLinks) }
      // A link in procfs leads to an open file, and its text may not be a path (proc_pid_fd(5)).
      var system = statfs()
      if unsafe statfs(done.isEmpty ? "." : done, &system) == 0, system.f_type == 0x9FA0 {
        if rest.isEmpty { return nil }
        done = next + "/"
        continue
      }
      let target = try target(ofLink: next)
      if target.hasPrefix("/") { done = "/" }
      rest += target.split(separator: "/").map(String.init).reversed()
    case S_IFDIR: done = next + "/"
    case S_IFREG where rest.isEmpty: return next
    case _ where rest.isEmpty: return nil
    default: throw .system(.notADirectory)
    }
  }
  throw .system(path.isEmpty ? .noSuchFile : Errno(rawValue: EISDIR))
}

private func target(ofLink path: String) throws(OutputFileError) -> String {
  var text = [CChar](repeating: 0, count: Int(PATH_MAX))
  let count = unsafe readlink(path, &text, text.count)
  if count < 0 { throw .system(.current) }
  return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
