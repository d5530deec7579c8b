/// A Lambda function that receives and returns bytes.
///
/// One value handles all invocations of the process, one at a time and on one thread, so it needs no locks. It can keep
/// expensive resources between invocations. Create them in the initialiser, which runs before the runtime requests the first
/// event. The runtime reports an error that the initialiser throws to Lambda, as an initialisation failure.
public protocol Handler: ~Copyable {
  /// Handles one invocation and returns the response.
  ///
  /// If this method throws an ``InvocationFailure``, the caller receives its type and message unchanged. Any other error is
  /// reported with its type's name, prefixed with `Function.`, and its description.
  mutating func handle(_ event: Event, _ context: Context) throws -> Response

  /// Releases resources before the process exits. The runtime calls it once, after the last invocation, when the process is
  /// asked to stop. The default implementation does nothing.
  ///
  /// Lambda sends that request only if an extension is registered (``ServeOptions/registersExtension``), and kills the process at most 500 ms
  /// later. Without an extension it kills the process without notice.
  mutating func shutDown()

  /// Prepares for a SnapStart snapshot. The runtime calls it once, before Lambda freezes the process. The default
  /// implementation does nothing.
  ///
  /// Close connections and anything else that doesn't survive a move to another machine. If this method throws, the process
  /// exits and Lambda receives an initialisation failure.
  mutating func prepareForSnapshot() throws

  /// Resumes from a SnapStart snapshot. The runtime calls it in each restored copy of the process. The default implementation
  /// does nothing.
  ///
  /// If this method throws, the process exits and Lambda receives a restore failure.
  mutating func resumeFromSnapshot() throws
}

extension Handler where Self: ~Copyable {
  /// Does nothing, for handlers that hold nothing to release.
  public mutating func shutDown() {}
  /// Does nothing, for handlers that hold nothing that a snapshot invalidates.
  public mutating func prepareForSnapshot() throws {}
  /// Does nothing, for handlers that need no work in a restored copy.
  public mutating func resumeFromSnapshot() throws {}
}
