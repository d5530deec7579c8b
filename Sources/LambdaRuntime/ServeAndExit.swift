import Glibc
public import Platform

/// What a function is given to start with.
public struct Startup {
  public let environment: Environment
  /// The log of the process; what is written to it during an invocation bears the invocation's id.
  public let log: Log
}

/// Makes the function, serves its invocations, and ends the process: with status 0 when it was asked to stop, with 1
/// when the function could not start or the Runtime API stayed away.
///
/// This is all that the `main.swift` of a function needs:
///
/// ```swift
/// serveAndExit { startup in try MyFunction(startup.environment) }
/// ```
public func serveAndExit<Function: Handler & ~Copyable>(
  in environment: Environment = .ofThisProcess, _ makeHandler: (Startup) throws -> Function
) -> Never {
  let log = Log(environment)
  let shutdown: ShutdownSignal
  do throws(Errno) {
    shutdown = try ShutdownSignal()
  } catch {
    exit(reporting: error, to: log)
  }
  do throws(RuntimeAPIError) {
    try serve(in: environment, log: log, until: shutdown) {
      try makeHandler(Startup(environment: environment, log: log))
    }
  } catch {
    exit(reporting: error, to: log)
  }
  exit(0)
}
