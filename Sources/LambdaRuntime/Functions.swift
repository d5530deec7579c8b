import Platform

/// A set of functions in one executable. The `_HANDLER` environment variable selects the function to run.
///
/// ```swift
/// var functions = Functions()
/// functions.register("resize") { startup in try Resize(startup.environment) }
/// functions.register("rotate") { _ in Rotate() }
/// serveAndExit(functions)
/// ```
///
/// Only the selected function is created. If a single function is registered, it runs whatever the value of `_HANDLER`. If no
/// function matches, initialisation fails with `Runtime.UnknownHandler`.
public struct Functions {
  private typealias Serving = (Server, Startup) throws(RuntimeAPIError) -> Void
  private var functions: [(name: String, serve: Serving)] = []

  /// Creates an empty set.
  public init() {}

  /// Registers a function under `name`. A later registration under the same name replaces an earlier one.
  public mutating func register<Function: Handler & ~Copyable>(
    _ name: String, _ makeHandler: @escaping (Startup) throws -> Function
  ) {
    functions.removeAll { $0.name == name }
    functions.append(
      (
        name,
        { server, startup throws(RuntimeAPIError) in
          try server.run { try makeHandler(startup) }
        }
      ))
  }

  /// Runs the function that `_HANDLER` selects. Reports an initialisation failure if there is no such function.
  func serve(with server: Server, _ startup: Startup) throws(RuntimeAPIError) {
    let wanted = server.environment.value("_HANDLER")
    if functions.count == 1, let only = functions.first { return try only.serve(server, startup) }
    if let chosen = functions.first(where: { $0.name == wanted }) { return try chosen.serve(server, startup) }
    let names = functions.isEmpty ? "none" : functions.map { "'\($0.name)'" }.joined(separator: ", ")
    let choice = wanted.map { "_HANDLER is '\($0)'" } ?? "_HANDLER isn't set"
    let failure = InvocationFailure(
      type: "Runtime.UnknownHandler",
      message: "\(choice). Set the function's handler to one that this program registers: \(names).")
    try server.run { () throws -> NoFunction in throw failure }
  }
}

/// An uninhabited handler type, needed to report that no function was selected.
private enum NoFunction: Handler {
  func handle(_ event: Event, _ context: Context) throws -> Response { switch self {} }
}
