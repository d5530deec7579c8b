import Glibc
package import Platform

/// A switch by which a test can trigger a ``ShutdownSignal`` from any thread.
package final class StopSwitch: Sendable {
  private let writer: Int32
  private let reader: Int32

  package init() throws(Errno) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try retryingOnInterrupt {
      unsafe withUnsafeMutablePointer(to: &ends) { pointer in
        unsafe pointer.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe pipe($0) }
      }
    }
    (reader, writer) = ends
    for end in [reader, writer] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(reader, F_SETFL, O_NONBLOCK)
  }

  deinit {
    _ = close(writer)
    _ = close(reader)
  }

  /// Returns the signal of this switch. Call this once.
  package func signal() throws(Errno) -> ShutdownSignal {
    let copy = try retryingOnInterrupt { fcntl(reader, F_DUPFD_CLOEXEC, 0) }
    return ShutdownSignal(readableOnRequest: FileDescriptor(owning: copy))
  }

  package func stop() {
    var byte: UInt8 = 1
    unsafe write(writer, &byte, 1)
  }
}
