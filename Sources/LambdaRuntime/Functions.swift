import Platform

/// The functions of a program that has more than one, by the names that `_HANDLER` chooses from.
///
/// ```swift
/// var functions = Functions()
/// functions.register("resize") { startup in try Resize(startup.environment) }
/// functions.register("rotate") { _ in Rotate() }
/// serveAndExit(functions)
/// ```
///
/// Only the function that is chosen is made. Where only one is registered, it serves whatever `_HANDLER` says.
public struct Functions {
  private typealias Serving = (Server, Startup) throws(RuntimeAPIError) -> Void
  private var functions: [(name: String, serve: Serving)] = []

  public init() {}

  /// Adds a function under `name`, in place of one that had it before.
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

  /// Serves the function that the environment chooses; a choice in vain is a failed initialisation.
  func serve(with server: Server, _ startup: Startup) throws(RuntimeAPIError) {
    let wanted = server.environment.value("_HANDLER")
    if functions.count == 1, let only = functions.first { return try only.serve(server, startup) }
    if let chosen = functions.first(where: { $0.name == wanted }) { return try chosen.serve(server, startup) }
    let names = functions.isEmpty ? "none" : functions.map { "'\($0.name)'" }.joined(separator: ", ")
    let choice = wanted.map { "_HANDLER is '\($0)'" } ?? "_HANDLER is not set"
    let failure = InvocationFailure(
      type: "Runtime.UnknownHandler", message: "\(choice); the functions of this program are: \(names)")
    try server.run { () throws -> NoFunction in throw failure }
  }
}

/// Stands where no function was chosen; there is none of it.
private enum NoFunction: Handler {
  func handle(_ event: Event, _ context: Context) throws -> Response { switch self {} }
}
