import Platform

/// The malformed lines of a file, which were skipped; the rest of the file was used.
struct SkippedLines: Equatable {
  private(set) var count = 0
  private(set) var first: (line: Int, reason: String, text: String)?

  static func == (left: SkippedLines, right: SkippedLines) -> Bool {
    left.count == right.count && left.first?.line == right.first?.line
  }

  mutating func append(line: Int, reason: LineError, text: Span<UInt8>) {
    count += 1
    if first == nil { first = (line, reason.rawValue, excerpt(of: text)) }
  }

  /// Returns a log message about the skipped lines; nil if there are none.
  func summary(path: String) -> String? {
    guard let first else { return nil }
    let others = count == 1 ? "" : " (and \(count - 1) more)"
    return "\(path): skipped line \(first.line)\(others): \(first.reason): '\(first.text)'"
  }

  /// Returns the error for a file that has only malformed lines; nil if none was skipped.
  func error(path: String) -> CollectionError? {
    guard let first else { return nil }
    return .malformed(path: path, line: first.line, reason: first.reason, text: first.text)
  }

  /// Logs the skipped lines; throws if the file has no others.
  func report(path: String, hasOnlySkippedLines: Bool, to log: Log) throws(CollectionError) {
    if hasOnlySkippedLines, let error = error(path: path) { throw error }
    if let summary = summary(path: path) { log.warn(summary) }
  }
}
