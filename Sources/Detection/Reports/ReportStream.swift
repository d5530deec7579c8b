/// Splits input into reports: JSON lines, pretty-printed JSON documents, CBOR items one after the other, or a mixture.
///
/// The caller appends input as it arrives. Only the current report is kept in memory.
package struct ReportStream {
  package enum Item: Equatable {
    case observation(Observation)
    /// A report that can't be evaluated; reading continues with the next one.
    case rejected(String)
    /// The rest of the input can't be read, because CBOR has no mark at which reading could continue.
    case failed(String)
    /// The caller must append more input, or finish it.
    case needsInput
    case end
  }

  /// The largest report that is read, in bytes.
  static let maximumReportSize = 16 << 20

  private let reader: ReportReader
  private var buffer: [UInt8] = []
  private var position = 0
  /// The number of bytes removed from the buffer.
  private var removed = 0
  private var isFinished = false
  /// Whether the rest of the input can't be read.
  private var hasFailed = false
  /// Whether the rest of a malformed report is being skipped.
  private var isSkipping = false
  /// The last skipped byte that isn't a blank.
  private var lastSkipped: UInt8 = 0
  /// The number of reports that have begun.
  package private(set) var reportCount = 0

  /// Creates a stream. `thing` is the thing of all reports; nil if wrappers name it.
  package init(_ table: MetricTable, thing: String? = nil) {
    reader = ReportReader(table, thing: thing)
  }

  /// Appends input.
  package mutating func append(_ bytes: [UInt8]) {
    if hasFailed { return }
    if position > 0 {
      removed += position
      buffer.removeFirst(position)
      position = 0
    }
    buffer += bytes
  }

  /// Declares that no more input follows.
  package mutating func finish() { isFinished = true }

  package mutating func next() -> Item {
    if hasFailed { return .end }
    if isSkipping, !skipToReport() { return isFinished ? .end : .needsInput }
    isSkipping = false
    skipBlanks()
    guard position < buffer.count else { return isFinished ? .end : .needsInput }
    let start = position
    let isCBOR = buffer[start] >= 0x80 && buffer[start] != 0xEF
    do throws(ReportError) {
      return .observation(
        isCBOR ? try read(CBORScanner(buffer, from: position)) : try read(JSONScanner(buffer, from: position))
      )
    } catch .syntax(.truncated) where !isFinished {
      guard buffer.count - start > Self.maximumReportSize else { return .needsInput }
      return reject(start, isCBOR, "it is larger than \(Self.maximumReportSize >> 20) MiB")
    } catch {
      return reject(start, isCBOR, "\(error)")
    }
  }

  private mutating func read(_ scanner: consuming some DocumentScanner) throws(ReportError) -> Observation {
    let observation = try reader.read(&scanner)
    position = scanner.position
    reportCount += 1
    return observation
  }

  /// Skips a report that can't be evaluated.
  private mutating func reject(_ start: Int, _ isCBOR: Bool, _ reason: String) -> Item {
    let end: Int?
    do throws(ScanError) {
      end = try endOfItem(start, isCBOR)
    } catch {
      // Without this, the place at which reading continues would depend on how the input is split into chunks.
      let isWaiting = error == .truncated && !isFinished && buffer.count - start <= Self.maximumReportSize
      if isWaiting { return .needsInput }
      end = nil
    }
    reportCount += 1
    let text = "Report \(reportCount), at byte \(removed + start), is skipped: \(reason)."
    if let end {
      position = end
      return .rejected(text)
    }
    if isCBOR {
      position = buffer.count
      hasFailed = true
      return .failed("\(text) The rest of this input can't be read.")
    }
    position = start
    skipByte()
    isSkipping = true
    return .rejected(text)
  }

  /// Returns the end of the item that begins at `start`; nil if it can't be a report.
  private func endOfItem(_ start: Int, _ isCBOR: Bool) throws(ScanError) -> Int? {
    if isCBOR {
      var scanner = CBORScanner(buffer, from: start)
      try scanner.skip()
      return scanner.position
    }
    guard buffer[start] == UInt8(ascii: "{") else { return nil }
    var scanner = JSONScanner(buffer, from: start)
    try scanner.skip()
    return scanner.position
  }

  /// Moves to the next report: a line that begins with an opening brace, or the first member of a report on the same line. Returns
  /// false if the buffer has none yet.
  private mutating func skipToReport() -> Bool {
    while position < buffer.count {
      if buffer[position] == 0x0A {
        // The byte after the line end may not have arrived yet.
        guard position + 1 < buffer.count else { return false }
        if buffer[position + 1] == UInt8(ascii: "{") {
          position += 1
          return true
        }
      } else if buffer[position] == UInt8(ascii: "{"), !",:[".utf8.contains(lastSkipped) {
        // If a writer was stopped, its last report is truncated, and the next report follows on the same line. But a brace after ',',
        // ':' or '[' begins a part of the damaged report. Read without its wrapper, that part would be assigned to another thing.
        guard let isReport = beginsReport() else { return false }
        if isReport { return true }
      }
      skipByte()
    }
    return false
  }

  private mutating func skipByte() {
    if buffer[position] > 0x20 { lastSkipped = buffer[position] }
    position += 1
  }

  private static let firstMembers = [
    "header", "hed", "metrics", "met", "custom_metrics", "cmet", "report", "thing", "timestamp",
  ].map { Array("{\"\($0)\":".utf8) }

  /// Returns whether the bytes at the current position begin a report; nil if more input is needed to decide.
  private func beginsReport() -> Bool? {
    let rest = buffer[position...]
    if Self.firstMembers.contains(where: { rest.starts(with: $0) }) { return true }
    if isFinished { return false }
    return Self.firstMembers.contains { rest.count < $0.count && $0.starts(with: rest) } ? nil : false
  }

  private mutating func skipBlanks() {
    while position < buffer.count, case let byte = buffer[position],
      byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    {
      position += 1
    }
  }
}
