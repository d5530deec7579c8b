/// Cuts what a process writes into lines, in whatever pieces it comes.
struct LineSplitter {
  /// A line that doesn't end is handed over in pieces of about this many bytes.
  private static let longestLine = 256 * 1024

  private var pending: [UInt8] = []
  private let onLine: (String) -> Void

  /// Hands each line, without its line feed, to `onLine`.
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

  /// Hands over a last line that didn't end in a line feed.
  mutating func finish() {
    if !pending.isEmpty { handOver() }
  }

  private mutating func handOver() {
    onLine(String(decoding: pending, as: UTF8.self))
    pending.removeAll(keepingCapacity: true)
  }
}
