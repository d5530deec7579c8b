package import Platform

/// Why a block of the report is missing.
package enum CollectionError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file couldn't be opened or read.
  case unreadable(path: String, Errno)
  /// The path leads to a directory, a pipe or a device.
  case notAFile(path: String)
  /// Nothing in the file is what should be there.
  case malformed(path: String, line: Int, reason: String, text: String)
  /// The kernel has a value here that stands for no measurement.
  case notMeasured(path: String, reason: String)
  /// Nothing was collected yet.
  case notCollected

  package var description: String {
    switch self {
    case .unreadable(let path, .timedOut): "\(path): the deadline came before the end of the file"
    case .unreadable(let path, let errno): "\(path): \(errno)"
    case .notAFile(let path): "\(path) is not a regular file"
    case .malformed(let path, let line, let reason, let text): "\(path): line \(line): \(reason): '\(text)'"
    case .notMeasured(let path, let reason): "\(path): \(reason)"
    case .notCollected: "not collected"
    }
  }
}
