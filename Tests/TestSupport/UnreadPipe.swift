import CLinux
import Glibc
import Platform

/// A named pipe that is full from the start, as the log of a program whose reader has stopped.
package final class UnreadPipe {
  package let path: String
  /// Reads and writes: a pipe that has a reader doesn't refuse to be opened for writing.
  private let descriptor: FileDescriptor

  /// Makes the pipe `name` in `directory` and fills it.
  package init(in directory: TemporaryDirectory, _ name: String = "log") throws {
    path = try directory.makePipe(name)
    let flags = O_RDWR | O_NONBLOCK | O_CLOEXEC
    let opened = unsafe open(path, flags)
    guard opened >= 0 else { throw Errno.current }
    descriptor = FileDescriptor(owning: opened)
    fill()
  }

  /// Writes until there is no room for another byte.
  package func fill() {
    for size in [65_536, 4_096, 1] {
      let filler = [UInt8](repeating: UInt8(ascii: "#"), count: size)
      while unsafe write(descriptor.rawValue, filler, size) > 0 {}
    }
  }

  /// Takes all that is in the pipe.
  package func drainBytes() throws -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(Errno) {
      while try descriptor.read(into: &bytes, limit: 65_536) > 0 {}
    } catch {
      if error != .wouldBlock { throw error }
    }
    return bytes
  }

  /// Takes all text that is in the pipe; the filler is left out.
  package func drain() throws -> String {
    String(decoding: try drainBytes().filter { $0 != UInt8(ascii: "#") }, as: UTF8.self)
  }

  /// Leaves the pipe without a reader: writing to it is a SIGPIPE.
  package func close() throws {
    let null = FileDescriptor(
      owning: try retryingOnInterrupt { unsafe open("/dev/null", O_RDWR | O_CLOEXEC) })
    _ = try retryingOnInterrupt { dup2(null.rawValue, descriptor.rawValue) }
  }

  /// Reads until `condition` holds for all that was read; false if it doesn't within a minute.
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
