package import Platform

/// Why the report omits a block.
package enum CollectionError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file couldn't be opened or read.
  case unreadable(path: String, Errno)
  /// The path is a directory, a pipe or a device.
  case notAFile(path: String)
  /// No part of the file is well-formed.
  case malformed(path: String, line: Int, reason: String, text: String)
  /// The file has a value that means "not measured".
  case notMeasured(path: String, reason: String)
  /// There is no snapshot yet.
  case notCollected

  package var description: String {
    switch self {
    case .unreadable(let path, .timedOut): "\(path): the deadline passed before the end of the file"
    case .unreadable(let path, let errno): "\(path): \(errno)"
    case .notAFile(let path): "\(path): not a regular file"
    case .malformed(let path, let line, let reason, let text): "\(path): line \(line): \(reason): '\(text)'"
    case .notMeasured(let path, let reason): "\(path): \(reason)"
    case .notCollected: "not collected"
    }
  }
}
