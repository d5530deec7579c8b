import WireFormats

/// Splits input into reports: JSON lines, pretty-printed JSON documents, JSON arrays of reports, reports with commas between them, CBOR
/// items one after the other, or a mixture.
///
/// An array needs no end, because a recording may have been stopped. A byte order mark may precede each report.
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
  /// The number of skipped opening braces and brackets, minus that of closing ones.
  private var nesting = 0
  /// The offset in the input of an opening bracket whose first element hasn't been seen yet.
  private var openBracket: Int?
  /// The number of arrays of reports that are open.
  private var depth = 0
  /// Whether the input has an array of reports, or reports with commas between them.
  private var hasElements = false
  /// The number of reports that have begun.
  package private(set) var reportCount = 0
  /// Whether the input has an array without elements, which says that there are no reports.
  package private(set) var hasEmptyArray = false

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
    if let item = skipSeparators() { return item }
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
    nesting = 0
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
    // In an array, any value ends at a comma or bracket.
    guard buffer[start] == UInt8(ascii: "{") || depth > 0 else { return nil }
    var scanner = JSONScanner(buffer, from: start)
    try scanner.skip()
    return scanner.position
  }

  /// Moves to the next report: a line that begins with an opening brace, or the first member of a report on the same line. Returns
  /// false if the buffer has none yet.
  private mutating func skipToReport() -> Bool {
    while position < buffer.count {
      switch buffer[position] {
      case 0x0A:
        // The byte after the line end may not have arrived yet.
        guard position + 1 < buffer.count else { return false }
        if buffer[position + 1] == UInt8(ascii: "{") {
          position += 1
          return true
        }
        if buffer[position + 1] == UInt8(ascii: "[") {
          guard let isReport = beginsReport(at: position + 1) else { return false }
          if isReport {
            position += 1
            return true
          }
        }
      case UInt8(ascii: "{") where mayBeginReport:
        guard let isReport = beginsReport(at: position) else { return false }
        if isReport { return true }
      default: break
      }
      skipByte()
    }
    return false
  }

  /// Whether a brace at the current position can begin a report.
  ///
  /// If a writer was stopped, its last report is truncated, and the next report follows on the same line. But a brace after ',', ':' or
  /// '[' begins a part of the damaged report. Read without its wrapper, that part would be assigned to another thing. A comma
  /// may precede the brace if the input separates reports by commas, and every brace of the damaged report is closed.
  private var mayBeginReport: Bool {
    switch lastSkipped {
    case UInt8(ascii: ":"), UInt8(ascii: "["): false
    case UInt8(ascii: ","): hasElements && nesting <= 0
    default: true
    }
  }

  private mutating func skipByte() {
    switch buffer[position] {
    case UInt8(ascii: "{"), UInt8(ascii: "["): nesting += 1
    case UInt8(ascii: "}"), UInt8(ascii: "]"): nesting -= 1
    default: break
    }
    if buffer[position] > 0x20 { lastSkipped = buffer[position] }
    position += 1
  }

  private static let firstMembers = [
    "header", "hed", "metrics", "met", "custom_metrics", "cmet", "report", "thing", "timestamp",
  ].map { Array("\"\($0)\":".utf8) }

  /// The number of bytes within which a report must show its first member.
  private static let maximumBeginning = 1_024

  /// Returns whether the bytes at `start` begin a report, or an array of reports; nil if more input is needed to decide.
  private func beginsReport(at start: Int) -> Bool? {
    var rest = buffer[start...].prefix(Self.maximumBeginning)
    let undecided: Bool? = isFinished || rest.count == Self.maximumBeginning ? false : nil
    if rest.first == UInt8(ascii: "[") { rest = rest.dropFirst().drop(while: isBlank) }
    guard let brace = rest.first else { return undecided }
    guard brace == UInt8(ascii: "{") else { return false }
    rest = rest.dropFirst().drop(while: isBlank)
    if Self.firstMembers.contains(where: { rest.starts(with: $0) }) { return true }
    return Self.firstMembers.contains { rest.count < $0.count && $0.starts(with: rest) } ? undecided : false
  }

  /// Skips what may stand between reports: blanks, byte order marks, commas, and the brackets of arrays. Returns an item if the buffer has
  /// no report to read.
  private mutating func skipSeparators() -> Item? {
    while position < buffer.count {
      let byte = buffer[position]
      if isBlank(byte) {
        position += 1
      } else if let bracket = openBracket {
        guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "]") else {
          return rejectBracket(at: bracket, "it is malformed: expected an object")
        }
        openBracket = nil
        depth += 1
        hasElements = true
        if byte == UInt8(ascii: "]") { hasEmptyArray = true }
      } else if byte == UInt8(ascii: "[") {
        openBracket = removed + position
        position += 1
      } else if byte == UInt8(ascii: "]"), depth > 0 {
        depth -= 1
        position += 1
      } else if byte == UInt8(ascii: ","), reportCount > 0 || hasElements {
        hasElements = true
        position += 1
      } else if byte == byteOrderMark[0] {
        let mark = buffer[position...].prefix(3)
        if !isFinished, mark.count < 3, byteOrderMark.starts(with: mark) { return .needsInput }
        guard mark.elementsEqual(byteOrderMark) else { return nil }
        position += 3
      } else {
        return nil
      }
    }
    guard isFinished else { return .needsInput }
    guard let bracket = openBracket else { return .end }
    return rejectBracket(at: bracket, "it is truncated")
  }

  /// Skips an array that isn't one of reports.
  private mutating func rejectBracket(at offset: Int, _ reason: String) -> Item {
    openBracket = nil
    reportCount += 1
    lastSkipped = UInt8(ascii: "[")
    nesting = 1
    isSkipping = true
    return .rejected("Report \(reportCount), at byte \(offset), is skipped: \(reason).")
  }
}

private func isBlank(_ byte: UInt8) -> Bool {
  byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
}
