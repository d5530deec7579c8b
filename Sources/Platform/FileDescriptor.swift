import CLinux
import Glibc

/// An open file, socket, timer or signal descriptor, which is closed when its owner is destroyed.
package struct FileDescriptor: ~Copyable {
  package let rawValue: Int32

  /// Takes ownership of an open descriptor.
  package init(owning rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// Opens `path` for reading.
  package init(reading path: String) throws(Errno) {
    rawValue = try retryingOnInterrupt {
      unsafe clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
    }
  }

  deinit {
    _ = close(rawValue)
  }

  /// Reads at most `limit` bytes and appends them to `buffer`; returns the number of bytes read, 0 at the end of the
  /// file.
  package borrowing func read(into buffer: inout [UInt8], limit: Int) throws(Errno) -> Int {
    // Read into uninitialised memory: a read often returns much less than `limit`, and in an unoptimised build clearing
    // the memory would take longer than everything else here.
    let result: Result<Int, Errno> = unsafe withUnsafeTemporaryAllocation(byteCount: limit, alignment: 1) {
      space in
      do throws(Errno) {
        let count = try retryingOnInterrupt { unsafe Glibc.read(rawValue, space.baseAddress, space.count) }
        unsafe buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: space[..<count]))
        return .success(count)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Overwrites the elements of `buffer` from index `start` on; returns the number of bytes read, 0 at the end of the
  /// file.
  ///
  /// For a buffer that is reused for many reads: nothing is appended and nothing is cleared.
  package borrowing func read(over buffer: inout [UInt8], from start: Int) throws(Errno) -> Int {
    guard buffer.indices.contains(start) else { throw .invalidArgument }
    return try retryingOnInterrupt {
      unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe Glibc.read(rawValue, bytes.baseAddress?.advanced(by: start), bytes.count - start)
      }
    }
  }

  /// Writes all of `bytes`.
  package borrowing func writeAll(_ bytes: [UInt8]) throws(Errno) {
    try Platform.writeAll(bytes, to: rawValue)
  }
}

/// Writes all of `bytes` to a descriptor that the caller doesn't own, such as standard error.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Errno) {
  var written = 0
  while written < bytes.count {
    let start = written
    written += try retryingOnInterrupt {
      unsafe bytes.withUnsafeBytes { buffer in
        unsafe write(descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start)
      }
    }
  }
}

/// Returns the contents of the file at `path`; throws `EFBIG` if it has more than `limit` bytes.
///
/// Reads to the end instead of using `st_size`, which is 0 for the files of procfs.
package func readFile(_ path: String, limit: Int) throws(Errno) -> [UInt8] {
  let file = try FileDescriptor(reading: path)
  var contents: [UInt8] = []
  while try file.read(into: &contents, limit: 65_536) > 0 {
    if contents.count > limit { throw .fileTooLarge }
  }
  return contents
}

/// Returns whether `path` exists and isn't a regular file. It can be a directory, or a pipe that may never end.
package func isSpecialFile(_ path: String) -> Bool {
  var status = stat()
  return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
}

/// Returns the contents of a file whose path comes from configuration, such as a credentials file.
///
/// Throws `EFBIG` if it has more than `limit` bytes, and `EAGAIN` if it is a pipe whose end doesn't come within
/// `patience`, such as a pipe without a writer; see ``Errno/ofFile``.
package func readFile(_ path: String, limit: Int, patience: Duration) throws(Errno) -> [UInt8] {
  let deadline = BootTime.now.advanced(by: patience)
  let flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC
  let file = FileDescriptor(owning: try retryingOnInterrupt { unsafe clinux_open(path, flags, 0) })
  var contents: [UInt8] = []
  while true {
    var wait = pollfd(fd: file.rawValue, events: Int16(POLLIN), revents: 0)
    let timeout = BootTime.now.duration(to: deadline).millisecondsForTimeout
    guard try retryingOnInterrupt({ unsafe poll(&wait, 1, timeout) }) > 0 else { throw .wouldBlock }
    guard try file.read(into: &contents, limit: 65_536) > 0 else { return contents }
    if contents.count > limit { throw .fileTooLarge }
  }
}

extension Errno {
  /// The reason why ``readFile(_:limit:patience:)`` failed, in words.
  package var ofFile: String {
    self == .wouldBlock ? "it isn't a regular file, and the deadline passed before its end" : description
  }
}
