import ArgumentParser

/// Why a command failed: a sentence for standard error, and an exit status.
struct CommandFailure: Error, CustomStringConvertible {
  /// The exit statuses of a failure. The others are 0 (success), 64 (`EX_USAGE`) and ``LostOutput/status``.
  enum Status: Int32 {
    /// The function failed, or AWS rejected the request.
    case failed = 1
    /// Nothing was run or sent.
    case notRun = 2
    /// A request was sent or attempted, but no answer arrived.
    case noAnswer = 3
  }

  let description: String
  let status: Status

  init(_ description: String, status: Status) {
    self.description = description
    self.status = status
  }
}

/// Runs `body`. If it fails, prints the reason to standard error and exits with the failure's status.
func reportingFailure(to console: Console, _ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let failure as CommandFailure {
    console.error("defender: \(failure)")
    throw ExitCode(failure.status.rawValue)
  }
}
