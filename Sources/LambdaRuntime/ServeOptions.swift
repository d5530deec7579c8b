/// Options of the process that handles invocations.
public struct ServeOptions: Sendable {
  /// Whether to register an extension that subscribes to no events, so that ``Handler/shutDown()`` runs on Lambda.
  ///
  /// Lambda, and this package's emulator, end an environment without extensions with SIGKILL. If an extension is registered, it sends SIGTERM first.
  /// This costs one request at start and a connection that stays open.
  public var registersExtension = false
  /// Whether to end the process if the function is still running some time after a stop request (``StopLimit``).
  package var ownsProcess = false

  /// Creates the options.
  public init(registersExtension: Bool = false) {
    self.registersExtension = registersExtension
  }
}
