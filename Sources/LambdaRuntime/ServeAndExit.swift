import CLinux
import Glibc
// The types of this module's API are to be had with this module, whatever `MemberImportVisibility` says.
@_exported public import Platform
@_exported public import struct WireFormats.HeaderField
@_exported public import struct WireFormats.HeaderName

/// What a function is given to start with.
public struct Startup {
  /// The environment of the process.
  public let environment: Environment
  /// The log of the process; what is written to it during an invocation bears the invocation's id.
  public let log: Log
  /// Nil where nobody asks: in a test.
  let shutdown: ShutdownSignal?

  /// Whether the process was asked to stop: what a function that works for long asks now and then.
  public var isShutdownRequested: Bool { shutdown?.isRequested ?? false }

  init(environment: Environment, log: Log, shutdown: ShutdownSignal) {
    self.environment = environment
    self.log = log
    self.shutdown = shutdown
  }

  /// What a function is given in a test of its own: `environment`, and a log on standard error.
  public init(environment: Environment) {
    self.environment = environment
    log = Log(environment)
    shutdown = nil
  }
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
  in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions(),
  _ makeHandler: (Startup) throws -> Function
) -> Never {
  serveAndExit(in: environment, options) { server, startup throws(RuntimeAPIError) in
    try server.run { try makeHandler(startup) }
  }
}

/// Serves the function that `_HANDLER` chooses among `functions`, and ends the process as the other
/// ``serveAndExit(in:options:_:)`` does.
public func serveAndExit(
  _ functions: Functions, in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions()
) -> Never {
  serveAndExit(in: environment, options, functions.serve)
}

private func serveAndExit(
  in environment: Environment, _ options: ServeOptions,
  _ serve: (Server, Startup) throws(RuntimeAPIError) -> Void
) -> Never {
  // Before anything is opened: a socket that became descriptor 1 would carry what the handler prints.
  occupyStandardDescriptors()
  // In a pipe, lines would wait until some kilobytes have come together, and end with a process that is killed or traps.
  clinux_flush_output_by_line()
  surviveFailedWrites()
  let log = Log(environment)
  let shutdown: ShutdownSignal
  do throws(Errno) {
    shutdown = try ShutdownSignal()
  } catch {
    exit(reporting: error, to: log)
  }
  var options = options
  options.ownsProcess = true
  let server = Server(environment: environment, log: log, shutdown: shutdown, options: options)
  do throws(RuntimeAPIError) {
    try serve(server, Startup(environment: environment, log: log, shutdown: shutdown))
  } catch {
    exit(reporting: error, to: log)
  }
  exit(0)
}
