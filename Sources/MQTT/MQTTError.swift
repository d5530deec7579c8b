/// The reason why an operation of an MQTT session failed.
package enum MQTTError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The message or packet isn't valid in MQTT.
  case invalid(String)
  /// The server refused the connection in its CONNACK (MQTT 3.1.1, section 3.2.2.3).
  case refused(returnCode: UInt8)
  case subscriptionRefused(topicFilter: String)
  /// The deadline passed before the named packet arrived.
  case timedOut(waitingFor: String)
  /// The server closed the connection before the named packet arrived.
  case closedByServer(waitingFor: String)
  case connectionLost(String)
  /// The server sent a packet that violates the protocol.
  case malformed(PacketError)
  /// The server sent a packet that the client doesn't expect.
  case unexpected(packet: String)
  /// The process was asked to stop before the named event.
  case stopped(before: String)

  package var description: String {
    switch self {
    case .invalid(let reason): "MQTT can't encode the message: \(reason)"
    case .refused(let code): "MQTT: the server refused the connection: \(connectReturnCodeMeaning(code))"
    case .subscriptionRefused(let filter): "MQTT: the server refused the subscription to '\(filter)'"
    case .timedOut(let packet): "MQTT: no \(packet) in time"
    case .closedByServer(let packet):
      "MQTT: the server closed the connection before its \(packet)"
    case .connectionLost(let reason): "MQTT: \(reason)"
    case .malformed(let error): "MQTT: the server sent a malformed packet: \(error)"
    case .unexpected(let packet): "MQTT: the server sent an unexpected \(packet)"
    case .stopped(let what): "MQTT: the process was asked to stop before \(what)"
    }
  }
}

/// Returns the meaning of a CONNACK's return code.
private func connectReturnCodeMeaning(_ code: UInt8) -> String {
  switch code {
  case 1: "it doesn't support MQTT 3.1.1 (return code 1)"
  case 2: "it doesn't allow this client identifier (return code 2)"
  case 3: "it is unavailable (return code 3)"
  case 4: "bad user name or password (return code 4)"
  case 5: "not authorized (return code 5)"
  default: "return code \(code)"
  }
}
