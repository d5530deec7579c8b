package import Platform

/// The reason why a request to the nucleus failed.
package enum IPCError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The socket can't be reached: the nucleus isn't running or is restarting.
  case unreachable(path: String, Errno)
  case pathTooLong(path: String)
  /// The nucleus rejected the token in `SVCUID`.
  case tokenRefused
  /// The nucleus closed the connection, or an error broke it, before `waitingFor` arrived.
  case disconnected(waitingFor: String, Errno?)
  case timedOut(waitingFor: String)
  /// The nucleus stopped reading, so a message may have been sent in part.
  case stalled(before: String)
  /// The nucleus sent something that violates the protocol.
  case malformed(String)
  /// The nucleus answered with an error that ends the connection.
  case protocolError(String)
  /// The nucleus answered the operation with an error.
  case refused(operation: String, subject: String?, name: String, text: String)
  /// The process was asked to stop.
  case shutdown

  /// Whether the connection can't be used any more.
  package var endsConnection: Bool {
    switch self {
    case .unreachable, .pathTooLong, .tokenRefused, .disconnected, .stalled, .malformed, .protocolError: true
    case .timedOut, .refused, .shutdown: false
    }
  }

  var isTimeout: Bool {
    guard case .timedOut = self else { return false }
    return true
  }

  /// Whether the same request may succeed later without any change.
  package var isTransient: Bool {
    switch self {
    case .unreachable, .disconnected, .timedOut, .stalled, .malformed, .protocolError, .tokenRefused: true
    case .refused: !isUnauthorized && refusalName != "InvalidArgumentsError"
    case .pathTooLong, .shutdown: false
    }
  }

  /// Whether the nucleus may have rejected the component's token: lite does so by closing the connection.
  var mayMeanToken: Bool {
    switch self {
    case .tokenRefused, .disconnected: true
    default: false
    }
  }

  /// Whether the component's `accessControl` doesn't allow the operation.
  package var isUnauthorized: Bool { refusalName == "UnauthorizedError" }

  /// Whether the nucleus doesn't support the operation, or not with these arguments.
  package var meansUnsupported: Bool {
    guard case .refused(_, _, let name, let text) = self else { return false }
    // Lite sends this error without a name.
    return name == "UnsupportedOperation" || name == "InvalidArgumentsError"
      || text == "Unsupported Operation"
  }

  /// The name of the error that the nucleus answered with, such as `ServiceError`; nil if the nucleus didn't answer.
  package var refusalName: String? {
    guard case .refused(_, _, let name, _) = self else { return nil }
    return name
  }

  package var description: String {
    switch self {
    case .unreachable(let path, let errno):
      "the Greengrass nucleus can't be reached at \(path): \(errno)"
    case .pathTooLong(let path):
      """
      the path of the nucleus's socket has \(path.utf8.count) bytes, but the maximum for a Unix socket is \
      \(UnixSocket.maximumPathLength): \(path)
      """
    case .tokenRefused: "the Greengrass nucleus rejected this component's token (SVCUID)"
    case .disconnected(let what, nil): "the Greengrass nucleus closed the connection before \(what)"
    case .disconnected(let what, let errno?):
      "the connection to the Greengrass nucleus broke before \(what): \(errno)"
    case .timedOut(let what): "the Greengrass nucleus took too long for \(what)"
    case .stalled(let what): "the Greengrass nucleus stopped reading from the connection before \(what)"
    case .malformed(let reason): "the Greengrass nucleus sent \(reason)"
    case .protocolError(let text): "the Greengrass nucleus ended the connection: \(text)"
    case .refused(let operation, let subject, let name, let text):
      "the Greengrass nucleus answered \(operation)\(subject.map { " to \($0)" } ?? "") with \(name): \(text)"
    case .shutdown: "the process was asked to stop"
    }
  }

  /// The advice if the nucleus allowed the same operation before: lite also refuses it while its configuration daemon
  /// restarts.
  package var adviceOnWithdrawal: String {
    guard case .refused(let operation, let subject, _, _) = self, isUnauthorized else { return advice }
    return
      "It allowed this before. Nucleus lite answers this while ggconfigd restarts. If it continues, a deployment "
      + "has withdrawn accessControl, aws.greengrass.ipc.mqttproxy, operations aws.greengrass#\(operation), "
      + "resources \(subject ?? "*")."
  }

  /// The advice for this error, in complete sentences.
  package var advice: String {
    switch self {
    case .unreachable:
      "Check that the nucleus is running. The component keeps trying to connect."
    case .pathTooLong:
      "Install the nucleus in a directory with a shorter path."
    case .tokenRefused:
      "The nucleus invalidated it when it restarted. Restart the component, or set DEFENDER_COMPONENT_NAME on nucleus lite."
    case .refused(let operation, let subject, _, _) where isUnauthorized:
      """
      Allow it in the component's configuration: accessControl, aws.greengrass.ipc.mqttproxy, operations \
      aws.greengrass#\(operation), resources \(subject ?? "*").
      """
    case .refused:
      "The nucleus's log (greengrass.log, or the journal of nucleus lite) may have details."
    case .disconnected, .timedOut, .stalled, .malformed, .protocolError:
      "The component tries again. If the error continues, see the nucleus's log."
    case .shutdown:
      "The nucleus decides when to restart the component."
    }
  }
}
