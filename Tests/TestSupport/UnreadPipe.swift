import CLinux
import Glibc
import Platform

/// A named pipe that is full from the start, like the log of a program whose reader has stopped.
package final class UnreadPipe {
  package let path: String
  /// Open for reading and writing, because a pipe without a reader can't be opened for writing.
  private let descriptor: FileDescriptor

  /// Creates the pipe `name` in `directory` and fills it.
  package init(in directory: TemporaryDirectory, _ name: String = "log") throws {
    path = try directory.makePipe(name)
    let flags = O_RDWR | O_NONBLOCK | O_CLOEXEC
    let opened = unsafe open(path, flags)
    guard opened >= 0 else { throw Errno.current }
    descriptor = FileDescriptor(owning: opened)
    fill()
  }

  /// Fills the pipe.
  package func fill() {
    for size in [65_536, 4_096, 1] {
      let filler = [UInt8](repeating: UInt8(ascii: "#"), count: size)
      while unsafe write(descriptor.rawValue, filler, size) > 0 {}
    }
  }

  /// Reads everything in the pipe.
  package func drainBytes() throws -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(Errno) {
      while try descriptor.read(into: &bytes, limit: 65_536) > 0 {}
    } catch {
      if error != .wouldBlock { throw error }
    }
    return bytes
  }

  /// Reads all text in the pipe, without the filler.
  package func drain() throws -> String {
    String(decoding: try drainBytes().filter { $0 != UInt8(ascii: "#") }, as: UTF8.self)
  }

  /// Closes the reader, so that a write to the pipe causes SIGPIPE.
  package func close() throws {
    let null = FileDescriptor(
      owning: try retryingOnInterrupt { unsafe open("/dev/null", O_RDWR | O_CLOEXEC) })
    _ = try retryingOnInterrupt { dup2(null.rawValue, descriptor.rawValue) }
  }

  /// Reads until `condition` holds for everything read. Returns false if it doesn't within a minute.
  package func read(_ text: inout String, until condition: (String) -> Bool) throws -> Bool {
    let end = BootTime.now.advanced(by: .seconds(60))
    while true {
      text += try drain()
      if condition(text) { return true }
      if BootTime.now > end { return false }
      var wait = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      _ = unsafe poll(&wait, 1, 1_000)
    }
  }
}
