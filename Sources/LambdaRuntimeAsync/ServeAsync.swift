public import LambdaRuntime

/// Creates the function, handles its invocations, and exits the process.
///
/// The same as `serveAndExit(in:options:_:)` of `LambdaRuntime`, for an ``AsyncHandler``. Call it from the main thread, so that the main actor
/// is usable: at the top level of `main.swift`, without `await`.
///
/// ```swift
/// serveAndExit { startup in try await MyFunction(startup.environment) }
/// ```
@available(*, noasync, message: "Call it at the top level of main.swift, without await before it.")
public func serveAndExit<Function: AsyncHandler & ~Copyable>(
  in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions(),
  _ makeHandler: @escaping (Startup) async throws -> Function
) -> Never {
  LambdaRuntime.serveAndExit(in: environment, options: options) { startup in
    try AsyncAdapter(startup, makeHandler)
  }
}

extension Functions {
  /// Registers an asynchronous function under `name`. A later registration under the same name replaces an earlier one.
  public mutating func register<Function: AsyncHandler & ~Copyable>(
    _ name: String, _ makeHandler: @escaping (Startup) async throws -> Function
  ) {
    register(name) { startup in try AsyncAdapter(startup, makeHandler) }
  }
}
