import MQTT

/// The advice about the reason codes of MQTT 5.
extension BrokerAdvice {
  /// What the broker refused.
  enum Refusal: Equatable {
    case connection
    /// A message, in its PUBACK.
    case message
    /// The rest of an accepted connection, in a DISCONNECT.
    case session(isPublishing: Bool)
  }

  /// Returns what to do about `code`, and whether another attempt may succeed at once.
  ///
  /// A refused message isn't sent again: the next report includes its traffic, and the broker would refuse the same bytes
  /// for the same reason.
  func response(
    to code: ReasonCode, of refused: Refusal, topic: String
  ) -> (advice: String, kind: TransportFailure.Kind) {
    let (advice, kind) = generalResponse(to: code, of: refused, topic: topic)
    return (advice, refused == .message && kind == .transient ? .permanent : kind)
  }

  private func generalResponse(
    to code: ReasonCode, of refused: Refusal, topic: String
  ) -> (advice: String, kind: TransportFailure.Kind) {
    switch code {
    case .notAuthorized: (missingPermission(of: refused, topic: topic), .permanent)
    case .badUserNameOrPassword, .badAuthenticationMethod:
      ("Check the certificate or the credentials that the agent connects with.", .permanent)
    case .invalidClientID: ("Choose another DEFENDER_CLIENT_ID.", .permanent)
    case .sessionTakenOver:
      ("Another client connects as '\(clientID)'. Choose another DEFENDER_CLIENT_ID.", .transient)
    case .keepAliveTimeout: ("Check the network. The agent connects again.", .transient)
    case .quotaExceeded, .messageRateTooHigh, .connectionRateExceeded:
      (
        "Publish less often, or request a higher quota for the account.",
        refused == .connection ? .transient : .throttled
      )
    case .packetTooLarge:
      (
        "Send a smaller message; DEFENDER_MAX_REPORT_BYTES limits the size of reports.",
        refused == .message || refused == .session(isPublishing: true) ? .unacceptable : .permanent
      )
    case .invalidTopicName: ("Check DEFENDER_TOPIC.", .permanent)
    case .useAnotherServer, .serverMoved:
      ("Set DEFENDER_MQTT_ENDPOINT to the account's current endpoint.", .permanent)
    case .banned: ("Look for the reason in the broker's log.", .permanent)
    case .unsupportedVersion:
      ("Check that the endpoint is AWS IoT's MQTT broker; it must support MQTT 5 or 3.1.1.", .permanent)
    case .malformedPacket, .protocolError, .qualityNotSupported:
      ("Check that the endpoint is AWS IoT's MQTT broker, or set DEFENDER_MQTT_VERSION=3.", .permanent)
    case .serverUnavailable, .serverBusy, .serverShuttingDown:
      ("The broker is unavailable; the agent tries again.", .transient)
    default: ("Look for the reason in the broker's log. The next report tries again.", .transient)
    }
  }

  private func missingPermission(of refused: Refusal, topic: String) -> String {
    switch refused {
    case .connection: "\(sentenceStart(policy)) lacks iot:Connect on client/\(clientID)."
    case .message, .session(isPublishing: true):
      "\(sentenceStart(policy)) lacks iot:Publish on topic/\(topic)."
    case .session:
      "Check that \(policy) allows iot:Connect, iot:Publish, iot:Subscribe and iot:Receive."
    }
  }

  private func sentenceStart(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
}
