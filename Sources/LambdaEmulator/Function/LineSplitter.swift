/// Splits the output of a process into lines, regardless of how it is split into reads.
struct LineSplitter {
  /// The maximum number of bytes to buffer. A longer line is passed on in pieces of about this size.
  private static let longestLine = 256 * 1024

  private var pending: [UInt8] = []
  private let onLine: (String) -> Void

  /// Creates a splitter that passes each line to `onLine`, without its line feed.
  init(_ onLine: @escaping (String) -> Void) {
    self.onLine = onLine
  }

  mutating func append(_ piece: [UInt8]) {
    var rest = piece[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      pending += rest[..<end]
      handOver()
      rest = rest[(end + 1)...]
    }
    pending += rest
    if pending.count >= Self.longestLine { handOver() }
  }

  /// Passes on a last line that doesn't end in a line feed.
  mutating func finish() {
    if !pending.isEmpty { handOver() }
  }

  private mutating func handOver() {
    onLine(String(decoding: pending, as: UTF8.self))
    pending.removeAll(keepingCapacity: true)
  }
}
