/// The time that all processors spent in each state since boot, in ticks (1/100 s on all common systems).
package struct ProcessorTimes: Equatable, Sendable {
  /// user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice: the columns of `stat` (proc_stat(5)).
  package var columns = [UInt64](repeating: 0, count: 10)

  private static let idle = 3
  private static let ioWait = 4
  private static let guest = 8
  private static let guestNice = 9

  /// Returns the percentage of time since `earlier` during which the processors were busy, to one decimal.
  ///
  /// A column can decrease (proc_stat(5) documents it for iowait); that counts as no change. User time
  /// already includes guest time. If no time has passed, the result is 0.
  package func busyPercent(since earlier: ProcessorTimes) -> Double {
    let deltas = zip(columns, earlier.columns).map { now, before in now > before ? Double(now - before) : 0 }
    func delta(_ column: Int) -> Double { deltas.indices.contains(column) ? deltas[column] : 0 }
    let total = deltas.reduce(0, +) - delta(Self.guest) - delta(Self.guestNice)
    guard total > 0 else { return 0 }
    let busy = total - delta(Self.idle) - delta(Self.ioWait)
    return (max(0, min(100 * busy / total, 100)) * 10).rounded() / 10
  }
}

extension ProcRoot {
  /// Returns the sum of the times of all processors.
  ///
  /// Reads the first line of `stat`; kernels before 2.6.33 have fewer than ten columns in it.
  func processorTimes() throws(CollectionError) -> ProcessorTimes {
    let contents = try firstBytes(of: "stat", count: 1_024)
    let path = "\(self.path)/stat"
    let text = contents.span
    var end = 0
    while end < text.count, text[end] != UInt8(ascii: "\n"), text[end] != UInt8(ascii: "\r") { end += 1 }
    let line = text.extracting(0..<end)
    guard let times = ProcessorTimes(line: line) else {
      throw .malformed(
        path: path, line: 1, reason: LineError.processorTimes.rawValue, text: excerpt(of: line))
    }
    // Sandboxes such as gVisor provide the file but don't count.
    if times.columns.allSatisfy({ $0 == 0 }) {
      throw .notMeasured(path: path, reason: "all processor times are 0, so this kernel doesn't measure them")
    }
    return times
  }
}

extension ProcessorTimes {
  /// Parses the first line of `stat`; nil if it isn't `cpu` followed by at least four numbers.
  init?(line: Span<UInt8>) {
    guard begins(line, with: "cpu ") else { return nil }
    var reader = ColumnReader()
    reader.skipColumn(in: line)
    var column = 0
    while column < columns.count, !reader.isAtEnd(of: line) {
      guard let value = reader.decimal(in: line), reader.endColumn(in: line) else { return nil }
      columns[column] = value
      column += 1
    }
    guard column > Self.idle else { return nil }
  }
}
