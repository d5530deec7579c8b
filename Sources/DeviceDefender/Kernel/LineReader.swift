import CLinux
import Glibc
import Platform

/// Reads text files line by line through one buffer, however large the file.
///
/// A file of procfs is made while it is read, at most 4 KiB at a time, and `net/tcp` has 15 MB on a host with 100,000
/// sockets; the memory for it is this buffer.
struct LineReader: ~Copyable {
  /// The longest line; the kernel's are under 200 bytes.
  static let maximumLineLength = 65_536
  /// Where a file that has no end stops being read: 3 million sockets fit.
  static let maximumFileSize = 512 << 20

  /// Made when the first file is read: who has netlink reads none.
  private var buffer: [UInt8] = []
  private let bufferSize: Int
  /// When a file is given up, by the system's clock.
  var deadline = BootTime.distantFuture
  /// How many reads there are from one look at the clock to the next: 64 KiB of a file of procfs, under a millisecond.
  private static let readsBetweenLooks = 16

  init(maximumLineLength: Int = maximumLineLength) {
    bufferSize = maximumLineLength + 1
  }

  /// Frees what the next file makes again.
  mutating func freeBuffer() { buffer = [] }

  /// Hands every line of the file, without its line end, and its number to `body`.
  ///
  /// Throws `ETIMEDOUT` if the file has not ended at ``deadline``. An over-long line is handed over cut off, and so is a last line without a line feed, for the kernel ends each with one.
  @inline(__always)
  mutating func forEachLine(
    of file: borrowing FileDescriptor,
    _ body: (_ line: Span<UInt8>, _ number: Int, _ flaw: LineError?) -> Void
  ) throws(Errno) {
    try forEachLine(
      reading: { buffer, start throws(Errno) in try file.read(over: &buffer, from: start) }, body)
  }

  /// Does the same with what `read` puts into a buffer from an index on; it returns how much that is, 0 at the end.
  @inline(__always)
  mutating func forEachLine(
    reading read: (inout [UInt8], Int) throws(Errno) -> Int,
    _ body: (_ line: Span<UInt8>, _ number: Int, _ flaw: LineError?) -> Void
  ) throws(Errno) {
    if buffer.isEmpty { buffer = bytesToReadInto(count: bufferSize) }
    var lines = LineCounter()
    var filled = 0
    var total = 0
    var reads = 0
    while true {
      reads += 1
      if reads % Self.readsBetweenLooks == 0, BootTime.now >= deadline { throw .timedOut }
      let count = try read(&buffer, filled)
      total += count
      if total > Self.maximumFileSize { throw .fileTooLarge }
      let scanned = filled
      filled += count
      let consumed = lines.split(
        buffer.span.extracting(0..<filled), scanned: scanned, isLast: count == 0, body)
      if count == 0 { return }
      if consumed == 0, filled == buffer.count {
        // No line is this long. Tell of it once, and pass over the rest of it.
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

/// Splits what was read so far into lines, and counts them.
private struct LineCounter {
  private var number = 0
  private var isInOverlongLine = false

  /// Hands over the lines that end in `bytes`; returns the number of bytes that they took up.
  ///
  /// The first `scanned` bytes are known to have no line end. `isLast` says that the file ends here, so that the last
  /// line needs none.
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

/// Bytes of any value, of which only those may be looked at that were read into them: setting them to zero, at each
/// snapshot, would take time and memory for all of them, and most answers are short.
func bytesToReadInto(count: Int) -> [UInt8] {
  unsafe [UInt8](unsafeUninitializedCapacity: count) { _, initialized in initialized = count }
}
