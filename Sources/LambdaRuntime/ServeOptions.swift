/// Options of the process that handles invocations.
public struct ServeOptions: Sendable {
  /// Whether to register an extension that subscribes to no events, so that ``Handler/shutDown()`` runs on Lambda.
  ///
  /// If no extension is registered, Lambda ends the process with SIGKILL. If one is, Lambda sends SIGTERM first and waits up to 500 ms, or
  /// 300 ms if the function also has external extensions. This package's emulator sends the same signals. The extension costs one request at
  /// the start, and a connection that stays open.
  public var registersExtension = false
  /// Whether to end the process if the function is still running some time after a stop request (``StopLimit``).
  package var ownsProcess = false

  /// Creates the options.
  public init(registersExtension: Bool = false) {
    self.registersExtension = registersExtension
  }
}
