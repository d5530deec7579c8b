import Glibc
import Platform

/// A new directory that only this user can access, for files that a command needs while it runs.
struct ScratchDirectory: Sendable {
  let path: String

  /// Creates the directory below `TMPDIR`, or below /tmp if that isn't set. `purpose` is what it is for, such as `the certificate`.
  init(for purpose: String) throws(CommandFailure) {
    let parent = Environment.ofThisProcess.value("TMPDIR") ?? "/tmp"
    var template = Array("\(parent)/defender-emulator-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw CommandFailure(
        "Can't create a directory in \(parent) for \(purpose): \(Errno.current). Set TMPDIR to another directory.",
        status: .notRun)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Removes the directory with its files, and its directories with theirs.
  func remove() { Self.remove(path, depth: 2) }

  private static func remove(_ path: String, depth: Int) {
    if depth > 0, let directory = unsafe opendir(path) {
      defer { unsafe closedir(directory) }
      while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
          unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name == "." || name == ".." { continue }
        if unsafe unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)", depth: depth - 1) }
      }
    }
    unsafe rmdir(path)
  }
}
