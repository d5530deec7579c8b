import CLinux
import Glibc
import Platform

/// The directory in which a proc file system is mounted (proc(5)): `/proc`, a host's in a container, or a
/// captured tree.
package struct ProcRoot: Equatable, Sendable {
  package let path: String

  package init(_ path: String = "/proc") {
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  /// Whether this is the running system's own proc file system, so that netlink shows the same system.
  package var isOfThisSystem: Bool { path == "/proc" }

  /// The root with symbolic links resolved; unchanged if it doesn't exist.
  ///
  /// A snapshot reads all its files below this. If a link in the root changed during the snapshot, for
  /// example to the next captured tree, the snapshot would otherwise mix two moments.
  var resolved: ProcRoot {
    guard !isOfThisSystem, let path = unsafe realpath(path, nil) else { return self }
    defer { unsafe free(path) }
    return unsafe ProcRoot(String(cString: path))
  }

  /// The directory that shows the reading process's own network namespace.
  static let ownNetworkDirectory = "net"

  /// The directory with the files of the network namespace to report on, relative to the root.
  ///
  /// `net` is a link to `self/net`: it shows the network namespace of the reading process, even if the root
  /// belongs to another system. A container that was given the host's proc file system is meant to report the
  /// host's sockets, which are those of process 1. So, under a root other than `/proc`, this is `1/net` if
  /// that exists and shows a namespace other than ours. To find out, it compares the inode numbers of files
  /// in `net`, which differ between namespaces (fs/proc/proc_net.c). Unlike `1/ns/net`, that needs no
  /// privilege.
  var networkDirectory: String {
    guard !isOfThisSystem, let theirs = inode(of: path + "/1/net/dev") else {
      return Self.ownNetworkDirectory
    }
    return theirs == inode(of: "/proc/self/net/dev") ? Self.ownNetworkDirectory : "1/net"
  }

  /// Opens the file at `path` below the root; nil if it doesn't exist.
  ///
  /// Throws if it isn't a regular file: opening a FIFO would block until something writes to it.
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

  /// Returns the first bytes of the file at `path` below the root, at most `count`.
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
