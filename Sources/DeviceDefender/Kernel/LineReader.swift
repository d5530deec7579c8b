import CLinux
import Glibc
import Platform

/// Reads text files of any size line by line through one buffer.
///
/// The kernel generates procfs files while they are read, at most 4 KiB at a time. `net/tcp` has 15 MB on a
/// host with 100,000 sockets, but only this buffer needs memory.
struct LineReader: ~Copyable {
  /// The longest accepted line, in bytes; the kernel's are under 200.
  static let maximumLineLength = 65_536
  /// The number of bytes after which reading fails, in case a file never ends; it has room for 3 million
  /// sockets.
  static let maximumFileSize = 512 << 20

  /// Allocated when the first file is read, which never happens if netlink provides everything.
  private var buffer: [UInt8] = []
  private let bufferSize: Int
  /// The time at which an unfinished file fails.
  var deadline = BootTime.distantFuture
  /// The number of reads between two checks of the clock: 64 KiB of a procfs file, which take less than a
  /// millisecond.
  private static let readsBetweenClockChecks = 16

  init(maximumLineLength: Int = maximumLineLength) {
    bufferSize = maximumLineLength + 1
  }

  /// Frees the buffer; the next file allocates it again.
  mutating func freeBuffer() { buffer = [] }

  /// Passes every line of the file, without its line end, and its number to `body`.
  ///
  /// Throws `ETIMEDOUT` if the file hasn't ended at ``deadline``. `body` receives a flaw with a line that was
  /// too long and is truncated, and with a last line that lacks its line feed, because the kernel ends every
  /// line with one.
  @inline(__always)
  mutating func forEachLine(
    of file: borrowing FileDescriptor,
    _ body: (_ line: Span<UInt8>, _ number: Int, _ flaw: LineError?) -> Void
  ) throws(Errno) {
    try forEachLine(
      reading: { buffer, start throws(Errno) in try file.read(over: &buffer, from: start) }, body)
  }

  /// Does the same for the bytes that `read` puts into a buffer, starting at an index; `read` returns their
  /// number, 0 at the end.
  @inline(__always)
  mutating func forEachLine(
    reading read: (inout [UInt8], Int) throws(Errno) -> Int,
    _ body: (_ line: Span<UInt8>, _ number: Int, _ flaw: LineError?) -> Void
  ) throws(Errno) {
    if buffer.isEmpty { buffer = uninitializedBuffer(count: bufferSize) }
    var lines = LineCounter()
    var filled = 0
    var total = 0
    var reads = 0
    while true {
      reads += 1
      if reads % Self.readsBetweenClockChecks == 0, BootTime.now >= deadline { throw .timedOut }
      let count = try read(&buffer, filled)
      total += count
      if total > Self.maximumFileSize { throw .fileTooLarge }
      let scanned = filled
      filled += count
      let consumed = lines.split(
        buffer.span.extracting(0..<filled), scanned: scanned, isLast: count == 0, body)
      if count == 0 { return }
      if consumed == 0, filled == buffer.count {
        // The line exceeds the buffer. Report it once and skip the rest of it.
        lines.beginOverlongLine(buffer.span.extracting(0..<filled), body)
        filled = 0
        continue
      }
      if consumed > 0 {
        let rest = filled - consumed
        for index in 0..<rest { buffer[index] = buffer[consumed + index] }
        filled = rest
      }
    }
  }
}

/// Splits the bytes read so far into lines and counts them.
private struct LineCounter {
  private var number = 0
  private var isInOverlongLine = false

  /// Passes the lines that end in `bytes` to `body`; returns the number of bytes that they occupy.
  ///
  /// The first `scanned` bytes are known to contain no line feed. If `isLast` is true, the file ends here,
  /// and the last line may lack one.
  @inline(__always)
  mutating func split(
    _ bytes: Span<UInt8>, scanned: Int, isLast: Bool, _ body: (Span<UInt8>, Int, LineError?) -> Void
  ) -> Int {
    var start = 0
    var searchFrom = scanned
    while let end = indexOfLineFeed(in: bytes, from: searchFrom) {
      deliver(bytes.extracting(start..<end), nil, body)
      start = end + 1
      searchFrom = start
    }
    if isLast, start < bytes.count {
      deliver(bytes.extracting(start..<bytes.count), .cut, body)
      start = bytes.count
    }
    return start
  }

  mutating func beginOverlongLine(_ bytes: Span<UInt8>, _ body: (Span<UInt8>, Int, LineError?) -> Void) {
    if isInOverlongLine { return }
    isInOverlongLine = true
    body(bytes, number + 1, .tooLong)
  }

  @inline(__always)
  private mutating func deliver(
    _ line: Span<UInt8>, _ flaw: LineError?, _ body: (Span<UInt8>, Int, LineError?) -> Void
  ) {
    number += 1
    if isInOverlongLine {
      isInOverlongLine = false
      return
    }
    let hasCarriageReturn = line.count > 0 && line[line.count - 1] == UInt8(ascii: "\r")
    body(hasCarriageReturn ? line.extracting(0..<(line.count - 1)) : line, number, flaw)
  }

  @inline(__always)
  private func indexOfLineFeed(in bytes: Span<UInt8>, from start: Int) -> Int? {
    guard start < bytes.count else { return nil }
    return unsafe bytes.extracting(start..<bytes.count).withUnsafeBytes { rest -> Int? in
      guard
        let first = rest.baseAddress, let found = unsafe memchr(first, Int32(UInt8(ascii: "\n")), rest.count)
      else { return nil }
      return unsafe start + first.distance(to: UnsafeRawPointer(found))
    }
  }
}

/// Returns an uninitialised buffer; read only the bytes that a read has filled.
///
/// Zeroing it for each snapshot would cost time and memory for all of its bytes, and most answers are short.
func uninitializedBuffer(count: Int) -> [UInt8] {
  unsafe [UInt8](unsafeUninitializedCapacity: count) { _, initialized in initialized = count }
}
