/// The reason why an operation of an MQTT session failed.
package enum MQTTError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The message or packet isn't valid in MQTT.
  case invalid(String)
  /// The packet exceeds the size that the server accepts. Nothing was sent, and the session continues.
  case tooLarge(bytes: Int, limit: Int)
  /// The server doesn't accept quality of service 1. Nothing was sent, and the session continues.
  case qualityNotSupported
  /// The server refused the connection in its CONNACK (MQTT 3.1.1, section 3.2.2.3).
  case refused(returnCode: UInt8)
  /// The server refused the connection in its CONNACK (MQTT 5, section 3.2.2.2).
  case connectionRefused(Reason)
  /// The server refused a message in its PUBACK. The session continues.
  case messageRefused(Reason)
  /// `reason` is nil over MQTT 3.1.1.
  case subscriptionRefused(topicFilter: String, Reason? = nil)
  /// The server ended the connection with a DISCONNECT.
  case disconnected(Reason)
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
    case .tooLarge(let bytes, let limit):
      "MQTT: a packet has \(bytes) bytes, but the server accepts at most \(limit)"
    case .qualityNotSupported: "MQTT: the server doesn't support quality of service 1"
    case .refused(let code): "MQTT: the server refused the connection: \(connectReturnCodeMeaning(code))"
    case .connectionRefused(let reason): "MQTT: the server refused the connection: \(reason)"
    case .messageRefused(let reason): "MQTT: the server refused the message: \(reason)"
    case .subscriptionRefused(let filter, let reason):
      "MQTT: the server refused the subscription to '\(filter)'\(reason.map { ": \($0)" } ?? "")"
    case .disconnected(let reason): "MQTT: the server ended the connection: \(reason)"
    case .timedOut(let packet): "MQTT: no \(packet) in time"
    case .closedByServer(let packet):
      "MQTT: the server closed the connection before its \(packet)"
    case .connectionLost(let reason): "MQTT: \(reason)"
    case .malformed(let error): "MQTT: the server sent a malformed packet: \(error)"
    case .unexpected(let packet): "MQTT: the server sent an unexpected \(packet)"
    case .stopped(let what): "MQTT: the process was asked to stop before \(what)"
    }
  }

  /// Whether the server doesn't support the version of MQTT: 3.1.1 has the return code 1 for that, and MQTT 5 the reason
  /// code 132.
  package var isOfVersion: Bool {
    switch self {
    case .refused(let code): code == 1
    case .connectionRefused(let reason): reason.code == .unsupportedVersion
    default: false
    }
  }

  /// Whether the session continues after the error, because the server refused one message or one subscription, or nothing
  /// was sent.
  package var leavesSession: Bool {
    switch self {
    case .tooLarge, .qualityNotSupported, .messageRefused, .subscriptionRefused: true
    default: false
    }
  }

  /// The code with which the client ends a connection over MQTT 5 after this error; nil if the server ended it or can't
  /// receive a packet.
  var disconnectCode: ReasonCode? {
    switch self {
    case .malformed(let error): error.code
    case .unexpected: .protocolError
    case .timedOut: .success
    default: nil
    }
  }
}

/// Returns the meaning of a CONNACK's return code.
private func connectReturnCodeMeaning(_ code: UInt8) -> String {
  switch code {
  case 1: "it doesn't support this version of MQTT (return code 1)"
  case 2: "it doesn't allow this client identifier (return code 2)"
  case 3: "it is unavailable (return code 3)"
  case 4: "bad user name or password (return code 4)"
  case 5: "not authorized (return code 5)"
  default: "return code \(code)"
  }
}
