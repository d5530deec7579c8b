import ArgumentParser

/// Why a command ends without having done its job: a sentence for standard error, and an exit status.
struct CommandFailure: Error, CustomStringConvertible {
  /// The exit statuses of this tool; 0 is success, 64 (`EX_USAGE`) a wrong command line, and ``LostOutput`` has one.
  enum Status: Int32 {
    /// The function failed, or AWS refused.
    case failed = 1
    /// Nothing was run or sent.
    case notRun = 2
    /// Something was sent, or tried to, and no answer came.
    case noAnswer = 3
  }

  let description: String
  let status: Status

  init(_ description: String, status: Status) {
    self.description = description
    self.status = status
  }
}

/// Runs `body`; where it fails, says why on standard error and ends with the status that fits.
func reportingFailure(to console: Console, _ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let failure as CommandFailure {
    console.error("defender: \(failure)")
    throw ExitCode(failure.status.rawValue)
  }
}
