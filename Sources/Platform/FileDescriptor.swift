import CLinux
import Glibc

/// One open file, socket, timer or signal descriptor, closed when its owner goes.
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

  /// Reads at most `limit` bytes and appends them to `buffer`; returns their number, 0 at the end.
  package borrowing func read(into buffer: inout [UInt8], limit: Int) throws(Errno) -> Int {
    // Through memory that nobody clears: there is often much less to read, and without optimisation the zeros would take
    // longer than anything else here.
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

  /// Reads over the elements of `buffer` from index `start` on; returns the number of bytes read, 0 at the end.
  ///
  /// For a buffer that is read into many times: nothing is appended and nothing is cleared.
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

/// Writes all of `bytes` to a descriptor that somebody else owns, such as standard error.
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

/// The contents of the file at `path`; `EFBIG` where they exceed `limit` bytes.
///
/// Reads to the end rather than trusting `st_size`: files of procfs say 0.
package func readFile(_ path: String, limit: Int) throws(Errno) -> [UInt8] {
  let file = try FileDescriptor(reading: path)
  var contents: [UInt8] = []
  while try file.read(into: &contents, limit: 65_536) > 0 {
    if contents.count > limit { throw .fileTooLarge }
  }
  return contents
}

/// Whether there is something at `path` that isn't a regular file: a directory, or a pipe that may never end.
package func isSpecialFile(_ path: String) -> Bool {
  var status = stat()
  return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
}

/// The contents of a file that somebody else names, such as one of credentials: `EAGAIN` where it is a pipe and what
/// is to come takes longer than `patience`, which includes a pipe that nobody writes to; see ``Errno/ofFile``.
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
  /// Why a file that somebody else names couldn't be read, in words.
  package var ofFile: String {
    self == .wouldBlock ? "it isn't a regular file, and its end didn't come in time" : description
  }
}
