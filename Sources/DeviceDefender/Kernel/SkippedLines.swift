import Platform

/// Lines of a file that were left out because they aren't what the kernel writes; the rest of the file counted.
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

  /// What to log, in one line; nil where nothing was left out.
  func summary(path: String) -> String? {
    guard let first else { return nil }
    let others = count == 1 ? "" : " (and \(count - 1) more)"
    return "\(path): line \(first.line) left out\(others): \(first.reason): '\(first.text)'"
  }

  /// The error for a file none of whose lines could be read; nil where nothing was left out.
  func error(path: String) -> CollectionError? {
    guard let first else { return nil }
    return .malformed(path: path, line: first.line, reason: first.reason, text: first.text)
  }

  /// Logs the lines that were left out; throws where nothing else was in the file.
  func report(path: String, isAllThereIs: Bool, to log: Log) throws(CollectionError) {
    if isAllThereIs, let error = error(path: path) { throw error }
    if let summary = summary(path: path) { log.warn(summary) }
  }
}
