/// The reason why the process can't start or continue to handle invocations.
package enum RuntimeAPIError: Error, Equatable, Sendable {
  /// `AWS_LAMBDA_RUNTIME_API` isn't set.
  case notUnderLambda
  /// `AWS_LAMBDA_RUNTIME_API` isn't a valid host and port.
  case badEndpoint(value: String, reason: String)
  /// Creating the function failed. The failure has been reported to Lambda.
  case initialisationFailed(InvocationFailure)
  /// A SnapStart hook failed. The failure has been reported to Lambda.
  case snapshotHookFailed(InvocationFailure)
  /// A worker process could not be started, or ended unexpectedly, so all workers were stopped.
  case workersLost(reason: String)
  /// The Runtime API was unreachable for `after`.
  case givingUp(endpoint: String, after: Duration, last: String)
}

extension RuntimeAPIError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notUnderLambda:
      "AWS_LAMBDA_RUNTIME_API isn't set, so this function isn't running in Lambda."
    case .badEndpoint(let value, let reason):
      "AWS_LAMBDA_RUNTIME_API is '\(value)': \(reason). Set it to a host and port, such as 127.0.0.1:9001."
    case .initialisationFailed(let failure):
      "The function can't start: \(failure.type): \(failure.message)"
    case .snapshotHookFailed(let failure): "A SnapStart hook failed: \(failure.type): \(failure.message)"
    case .workersLost(let reason): "Stopped all workers: \(reason)."
    case .givingUp(let endpoint, let duration, let last):
      "The Runtime API at \(endpoint) has been unreachable for \(duration): \(last). Check AWS_LAMBDA_RUNTIME_API."
    }
  }
}
