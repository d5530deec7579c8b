package import Platform

/// A log whose lines a test can look at.
package final class RecordedLog {
  package private(set) var lines: [String] = []

  package init() {}

  /// A log that writes here. It keeps this object alive.
  package func log(level: Log.Level = .trace) -> Log {
    Log(level: level) { [self] _, line in lines.append(String(decoding: line, as: UTF8.self)) }
  }
}
