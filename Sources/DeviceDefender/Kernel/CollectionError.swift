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
}

/// What is wrong with a line.
enum LineError: String, Error {
  case slot = "a slot number and ':' should begin the line"
  case localAddress = "the local address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case localPort = "the local port should be 4 hexadecimal digits"
  case remoteAddress = "the remote address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case remotePort = "the remote port should be 4 hexadecimal digits"
  case state = "the state should be 2 hexadecimal digits"
  case interfaceName = "an interface name and ':' should begin the line"
  case counters = "16 counters should follow the interface name, each below 2^64"
  case processorTimes = "'cpu' and at least 4 times in ticks should be here, each below 2^64"
  case address = "an address or a network, and the name of its interface, should be here"
  case cut = "the file ends within the line"
  case tooLong = "the line is longer than 65,536 bytes"
}

/// The beginning of a line, for a log: at most 80 bytes, what isn't UTF-8 replaced.
func excerpt(of line: Span<UInt8>) -> String {
  var bytes: [UInt8] = []
  for index in 0..<min(line.count, 80) { bytes.append(line[index]) }
  return String(decoding: bytes, as: UTF8.self) + (line.count > 80 ? "…" : "")
}
