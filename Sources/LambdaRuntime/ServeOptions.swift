/// What a process that serves invocations does beyond serving them.
public struct ServeOptions: Sendable {
  /// Whether an extension that wants no events is registered.
  ///
  /// Lambda ends an environment without extensions with SIGKILL. With one, it sends SIGTERM first, and
  /// ``Handler/shutDown()`` has a chance to run. The price is a request at start and a connection that stays open.
  public var registersExtension = false
  /// Whether the process is ended under a function that doesn't come to an end after a request to stop (``StopLimit``).
  package var ownsProcess = false

  public init(registersExtension: Bool = false) {
    self.registersExtension = registersExtension
  }
}
