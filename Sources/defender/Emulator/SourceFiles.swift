import Glibc

/// The source files of a package, with the time and the size of each, so that a change can be noticed.
///
/// They are `*.swift` and `Package.resolved` in the directory, and all files in its folders, except in `Tests` and in what is hidden, such
/// as `.build`. Links to folders aren't followed.
struct SourceFiles: Equatable, Sendable {
  /// The maximum number of files and folders. Looking at that many takes some tens of milliseconds.
  static let limit = 20_000

  private struct Mark: Equatable {
    let seconds: Int
    let nanoseconds: Int
    let size: Int
    let inode: UInt64
  }

  private var marks: [String: Mark] = [:]
  /// Whether there are more files than ``limit``. The others aren't watched.
  private(set) var isCut = false

  /// Records the files below `directory`. Skips files and folders that it can't read.
  init(below directory: String, limit: Int = Self.limit) {
    var folders = [""]
    var count = 0
    while let folder = folders.popLast() {
      for name in Self.names(in: "\(directory)/\(folder)") {
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        count += 1
        guard count <= limit else {
          isCut = true
          return
        }
        var status = stat()
        guard unsafe lstat("\(directory)/\(path)", &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
          if path != "Tests" { folders.append(path) }
        } else if !folder.isEmpty || name.hasSuffix(".swift") || name == "Package.resolved" {
          marks[path] = Mark(
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec, size: Int(status.st_size),
            inode: UInt64(status.st_ino))
        }
      }
    }
  }

  /// Returns the path of a file that was changed, added or removed since `old`; nil if none was.
  func change(since old: SourceFiles) -> String? {
    if self == old { return nil }
    let changed = marks.filter { old.marks[$0.key] != $0.value }.keys.min()
    return changed ?? old.marks.keys.filter { marks[$0] == nil }.min()
  }

  private static func names(in folder: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory), names.count <= limit {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }
}
