import Glibc
import Platform

/// A regular file that a command writes at its end, which may be hours after its start.
///
/// The temporary file of ``OutputFile`` exists only while it is written, and signals that would end the process wait until then. So no
/// interruption leaves one.
struct ReplacedFile {
  let path: String

  /// Checks that the file can be written; nil if `path` is a pipe, device or socket.
  init?(checking path: String) throws(OutputFileError) {
    self.path = path
    let isRegular = try withoutInterruption { () throws(OutputFileError) in try OutputFile.open(path) != nil }
    if !isRegular { return nil }
  }

  /// Returns the first of `inputs` that is this file, also through a link; `-` is standard input.
  func first(of inputs: [String]) -> String? {
    var own = stat()
    guard unsafe stat(path, &own) == 0 else { return nil }
    return inputs.first { input in
      var other = stat()
      let result = input == "-" ? unsafe fstat(STDIN_FILENO, &other) : unsafe stat(input, &other)
      return result == 0 && (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)
    }
  }

  /// Writes the file, replacing any existing one.
  func replace(with bytes: [UInt8]) throws(Errno) {
    try withoutInterruption { () throws(Errno) in
      guard var file = try open() else { throw .invalidArgument }
      try file.append(bytes)
      try file.publish()
    }
  }

  private func open() throws(Errno) -> OutputFile? {
    do throws(OutputFileError) {
      return try OutputFile.open(path)
    } catch {
      switch error {
      case .system(let reason): throw reason
      case .foreignLink: throw Errno(rawValue: EACCES)
      }
    }
  }
}

/// Calls `body` while SIGINT, SIGTERM and SIGHUP wait. This thread must be the only one.
private func withoutInterruption<Result, Failure: Error>(
  _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  var signals = sigset_t()
  var former = sigset_t()
  unsafe sigemptyset(&signals)
  for signal in [SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&signals, signal) }
  unsafe sigprocmask(SIG_BLOCK, &signals, &former)
  defer { unsafe sigprocmask(SIG_SETMASK, &former, nil) }
  return try body()
}
