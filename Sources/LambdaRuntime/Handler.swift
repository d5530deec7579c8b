/// What answers invocations: bytes in, bytes out.
///
/// One value serves all invocations of the process, one at a time and on one thread, so it may keep what is costly
/// to make, and needs no locks. Whatever has to be there before the first invocation belongs in its initialiser, which
/// runs before the first event is asked for; what that throws is reported to Lambda as a failed initialisation.
public protocol Handler: ~Copyable {
  /// Answers one invocation.
  ///
  /// An ``InvocationFailure`` reaches the caller as it is; any other error does so with the name of its type.
  mutating func handle(_ event: Event, _ context: Context) throws -> Response

  /// Is called once, after the last invocation, when the process was asked to stop. Does nothing by default.
  ///
  /// Lambda waits for at most two seconds, and only where an extension is registered
  /// (``ServeOptions/registersExtension``); without one it ends the process without a word.
  mutating func shutDown()

  /// Is called once before Lambda SnapStart freezes the process. Does nothing by default.
  ///
  /// Connections and whatever else doesn't outlive a move to another machine are given up here. An error ends the
  /// process, and is reported as a failed initialisation.
  mutating func prepareForSnapshot() throws

  /// Is called in each copy of the process that Lambda SnapStart restores. Does nothing by default.
  ///
  /// An error ends the process, and is reported as a failed restore.
  mutating func resumeFromSnapshot() throws
}

extension Handler where Self: ~Copyable {
  public mutating func shutDown() {}
  public mutating func prepareForSnapshot() throws {}
  public mutating func resumeFromSnapshot() throws {}
}
