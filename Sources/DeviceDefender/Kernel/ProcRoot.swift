import CLinux
import Glibc
import Platform

/// Where the proc file system is mounted (proc(5)): `/proc`, a host's that a container sees, or a captured tree.
package struct ProcRoot: Equatable, Sendable {
  package let path: String

  package init(_ path: String = "/proc") {
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  /// Whether this is the proc file system of this very system, so that the kernel may be asked by other means.
  package var isOfThisSystem: Bool { path == "/proc" }

  /// Where the root is now, links followed; as it is where it isn't there.
  ///
  /// A snapshot reads all its files below this: a link that is set anew meanwhile, as to the next captured tree, would
  /// else mix two moments.
  var resolved: ProcRoot {
    guard !isOfThisSystem, let path = unsafe realpath(path, nil) else { return self }
    defer { unsafe free(path) }
    return unsafe ProcRoot(String(cString: path))
  }

  /// The directory that shows the network namespace of whoever looks.
  static let ownNetworkDirectory = "net"

  /// The directory with the files of the network namespace to report on, relative to the root.
  ///
  /// `net` is a link to `self/net`: it shows the network namespace of whoever looks, even where the root is another
  /// system's. A container that was given the host's proc file system wants the host's sockets, which are those of
  /// process 1. So: under a root other than `/proc`, `1/net` is read where it is there and shows another namespace
  /// than our own. Files of `net` have an inode number for each namespace (fs/proc/proc_net.c), which needs no
  /// privilege to compare, unlike `1/ns/net`.
  var networkDirectory: String {
    guard !isOfThisSystem, let theirs = inode(of: path + "/1/net/dev") else {
      return Self.ownNetworkDirectory
    }
    return theirs == inode(of: "/proc/self/net/dev") ? Self.ownNetworkDirectory : "1/net"
  }

  /// The file at `path` below the root, opened; nil where it isn't there.
  ///
  /// What isn't a regular file is refused: opening a FIFO would wait for its writer.
  func open(_ path: String) throws(CollectionError) -> FileDescriptor? {
    let fullPath = "\(self.path)/\(path)"
    let descriptor: Int32
    do throws(Errno) {
      let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
      descriptor = try retryingOnInterrupt { unsafe clinux_open(fullPath, flags, 0) }
    } catch {
      if error == .noSuchFile { return nil }
      throw .unreadable(path: fullPath, error)
    }
    let file = FileDescriptor(owning: descriptor)
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .notAFile(path: fullPath)
    }
    return file
  }

  /// The beginning of the file at `path` below the root, at most `count` bytes of it.
  func firstBytes(of path: String, count: Int) throws(CollectionError) -> [UInt8] {
    guard let file = try open(path) else {
      throw .unreadable(path: "\(self.path)/\(path)", .noSuchFile)
    }
    var contents: [UInt8] = []
    do throws(Errno) {
      while contents.count < count, try file.read(into: &contents, limit: count - contents.count) > 0 {}
    } catch {
      throw .unreadable(path: "\(self.path)/\(path)", error)
    }
    return contents
  }

  private func inode(of path: String) -> UInt64? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return UInt64(status.st_ino)
  }
}
