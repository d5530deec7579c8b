import CLinux
import Glibc
// Exported because this module's API uses types such as `Environment`: with `MemberImportVisibility`, clients would otherwise
// have to import `Platform` themselves.
@_exported public import Platform
@_exported public import struct WireFormats.HeaderField
@_exported public import struct WireFormats.HeaderName

/// The environment and the log with which a function starts.
public struct Startup: Sendable {
  /// The environment of the process.
  public let environment: Environment
  /// The log of the process. Lines written during an invocation contain its request ID.
  public let log: Log
  /// The stop request; nil in tests.
  package let shutdown: ShutdownSignal?

  /// Whether the process has been asked to stop. Handlers that run for a long time should read this regularly. Any thread may read it.
  public var isShutdownRequested: Bool { shutdown?.isRequested ?? false }

  package init(environment: Environment, log: Log, shutdown: ShutdownSignal?) {
    self.environment = environment
    self.log = log
    self.shutdown = shutdown
  }

  /// Creates a value for a unit test of a function. Unless `log` is given, its log writes to standard error.
  public init(environment: Environment, log: Log? = nil) {
    self.environment = environment
    self.log = log ?? Log(environment)
    shutdown = nil
  }
}

/// Creates the function, handles its invocations, and exits the process.
///
/// The exit status is 0 after a stop request (SIGTERM or SIGINT), and 1 if the function can't start or the Runtime API becomes
/// unreachable. A function's `main.swift` needs a single statement:
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

/// Handles invocations of the function in `functions` that `_HANDLER` selects. Otherwise the same as
/// ``serveAndExit(in:options:_:)``.
public func serveAndExit(
  _ functions: Functions, in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions()
) -> Never {
  serveAndExit(in: environment, options, functions.serve)
}

private func serveAndExit(
  in environment: Environment, _ options: ServeOptions,
  _ serve: (Server, Startup) throws(RuntimeAPIError) -> Void
) -> Never {
  // This must come before anything is opened: a handler's output would go to a socket that became descriptor 1.
  occupyStandardDescriptors()
  // Output to a pipe is fully buffered by default, so lines would arrive late, and be lost if the process is killed or traps.
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
    if error == .notUnderLambda {
      log.error("\(error)")
      log.error("To start it here: defender emulator --bootstrap \(CommandLine.arguments.first ?? "PATH")")
      exit(1)
    }
    exit(reporting: error, to: log)
  }
  exit(0)
}
