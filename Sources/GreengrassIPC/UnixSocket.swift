import Glibc
import Platform

/// A connected Unix domain stream socket whose calls never block (unix(7)).
struct UnixSocket: ~Copyable {
  /// The longest path in `sun_path`, in bytes without the terminating NUL.
  static let maximumPathLength = 107

  private let descriptor: FileDescriptor

  /// Connects to `path` without changing it.
  ///
  /// If the absolute path is too long, the classic nucleus gives one relative to the component's directory, so that must
  /// still be the working directory.
  init(connectingTo path: String) throws(IPCError) {
    guard path.utf8.count <= Self.maximumPathLength else { throw .pathTooLong(path: path) }
    descriptor = try Self.connected(to: path)
  }

  private static func connected(to path: String) throws(IPCError) -> FileDescriptor {
    do throws(Errno) {
      let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
      let descriptor = FileDescriptor(owning: try retryingOnInterrupt { socket(AF_UNIX, type, 0) })
      try connect(descriptor.rawValue, path)
      return descriptor
    } catch {
      throw .unreachable(path: path, error)
    }
  }

  private static func connect(_ descriptor: Int32, _ path: String) throws(Errno) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      for (index, byte) in path.utf8.enumerated() { unsafe bytes[index] = byte }
    }
    _ = try retryingOnInterrupt {
      unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
          unsafe Glibc.connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
  }

  var rawValue: Int32 { descriptor.rawValue }

  /// Appends the available bytes to `buffer`; returns their number, 0 at the end of the stream, nil if none are available
  /// yet.
  borrowing func read(into buffer: inout [UInt8]) throws(Errno) -> Int? {
    do throws(Errno) {
      return try descriptor.read(into: &buffer, limit: 16_384)
    } catch .wouldBlock {
      return nil
    }
  }

  /// Sends as much of `bytes` as fits; returns the number of bytes, 0 if the buffer is full.
  borrowing func write(_ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    do throws(Errno) {
      return try retryingOnInterrupt {
        unsafe bytes.withUnsafeBytes { buffer in
          // If the nucleus has gone, return an error (EPIPE) instead of ending the process with SIGPIPE.
          unsafe send(descriptor.rawValue, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
        }
      }
    } catch .wouldBlock {
      return 0
    }
  }
}
