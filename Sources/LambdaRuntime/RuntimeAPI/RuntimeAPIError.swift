/// Why the process can't serve, or can't go on serving.
package enum RuntimeAPIError: Error, Equatable, Sendable {
  /// `AWS_LAMBDA_RUNTIME_API` isn't set.
  case notUnderLambda
  /// `AWS_LAMBDA_RUNTIME_API` isn't a host and a port.
  case badEndpoint(value: String, reason: String)
  /// The function could not be made; Lambda was told.
  case initialisationFailed(InvocationFailure)
  /// A hook around a snapshot failed; Lambda was told.
  case snapshotHookFailed(InvocationFailure)
  /// A worker process could not be started, or one ended by itself and with it all of them.
  case workersLost(reason: String)
  /// The Runtime API was not there for so long that nothing is to be hoped for.
  case givingUp(endpoint: String, after: Duration, last: String)
}

extension RuntimeAPIError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notUnderLambda:
      """
      AWS_LAMBDA_RUNTIME_API is not set. Lambda and its emulators set it to the host and port of the Runtime API, \
      such as 127.0.0.1:9001
      """
    case .badEndpoint(let value, let reason):
      "AWS_LAMBDA_RUNTIME_API is '\(value)': \(reason). A host and a port are needed, such as 127.0.0.1:9001"
    case .initialisationFailed(let failure):
      "the function could not start: \(failure.type): \(failure.message)"
    case .snapshotHookFailed(let failure): "a snapshot hook failed: \(failure.type): \(failure.message)"
    case .workersLost(let reason): "the worker processes can't go on: \(reason)"
    case .givingUp(let endpoint, let duration, let last):
      "the Runtime API at \(endpoint) has not been there for \(duration): \(last)"
    }
  }
}
