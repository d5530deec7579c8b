import Synchronization

/// Cuts what a process writes into lines, whoever reads it and in whatever pieces it comes.
package final class LineCollector: Sendable {
  enum ReadResult { case read, nothingYet, end }

  /// A line that doesn't end is handed over in pieces of this many bytes.
  private static let longestLine = 256 * 1024

  private let pending = Mutex<[UInt8]>([])
  private let handle: @Sendable (String) -> Void

  /// Hands each line, without its line feed, to `handle`.
  package init(_ handle: @escaping @Sendable (String) -> Void) {
    self.handle = handle
  }

  /// Takes all that `read` appends until there is nothing for now; false at the end.
  func drain(_ read: (inout [UInt8]) -> ReadResult) -> Bool {
    pending.withLock { pending in
      while true {
        let result = read(&pending)
        takeLines(from: &pending)
        switch result {
        case .read: continue
        case .nothingYet: return true
        case .end: return false
        }
      }
    }
  }

  /// Hands over a last line that didn't end in a line feed.
  func finish() {
    pending.withLock { pending in
      if !pending.isEmpty { handle(String(decoding: pending, as: UTF8.self)) }
      pending = []
    }
  }

  private func takeLines(from pending: inout [UInt8]) {
    var start = 0
    while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
      handle(String(decoding: pending[start..<end], as: UTF8.self))
      start = end + 1
    }
    pending.removeFirst(start)
    if pending.count >= Self.longestLine {
      handle(String(decoding: pending, as: UTF8.self))
      pending = []
    }
  }
}
