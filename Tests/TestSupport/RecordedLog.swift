package import Platform

/// A log whose lines a test can read.
package final class RecordedLog {
  package private(set) var lines: [String] = []

  package init() {}

  /// A log that writes to this object and keeps it alive.
  package func log(level: Log.Level = .trace) -> Log {
    Log(level: level) { [self] _, line in lines.append(String(decoding: line, as: UTF8.self)) }
  }
}
