package import MQTT

/// The advice about a broker that ended a connection, based on what the connection proved.
///
/// Over MQTT 5, the broker gives a reason. Over MQTT 3.1.1, if a policy forbids something, AWS IoT closes the connection without a reason, and
/// other faults look the same. The advice therefore names one likely cause only if the connection held until exactly that packet was sent. docs/agent.md
/// has the table ("What advice is based on").
package struct BrokerAdvice {
  let clientID: String
  /// Whether the connection authenticates with a client certificate, rather than with AWS credentials or not at all.
  let showsCertificate: Bool

  package init(clientID: String, showsCertificate: Bool) {
    self.clientID = clientID
    self.showsCertificate = showsCertificate
  }

  /// How far a connection got before it ended.
  package enum Stage {
    /// The server hadn't accepted it yet.
    case connecting
    /// The server had accepted it and sent nothing since.
    case accepted
    /// The server had accepted it and sent something since, so the connection itself was allowed.
    case held
  }

  var policy: String {
    showsCertificate ? "the certificate's policy" : "the policy of the role or user"
  }

  /// Returns the failure to report for `error`, which ended a connection at `stage`. `topic` is the report's topic.
  package func failure(
    _ error: MQTTError, at stage: Stage, topic: String, isPublishing: Bool, isUnderWay: Bool
  ) -> TransportFailure {
    let advice: String
    var kind = TransportFailure.Kind.transient
    switch error {
    case .invalid:
      (advice, kind) = ("Check the topic, the thing name and the client id.", .permanent)
    case .refused(let code):
      (advice, kind) = refusal(code)
    case .connectionRefused(let reason):
      (advice, kind) = response(to: reason.code, of: .connection, topic: topic)
    case .messageRefused(let reason):
      (advice, kind) = response(to: reason.code, of: .message, topic: topic)
    case .disconnected(let reason):
      (advice, kind) = response(to: reason.code, of: .session(isPublishing: isPublishing), topic: topic)
    case .tooLarge:
      (advice, kind) = response(to: .packetTooLarge, of: .message, topic: topic)
    case .qualityNotSupported:
      (advice, kind) = response(to: .qualityNotSupported, of: .message, topic: topic)
    case .closedByServer, .connectionLost:
      advice = loss(at: stage, topic: topic, isPublishing: isPublishing)
    case .subscriptionRefused, .timedOut:
      advice = "Check the network. The report is sent again with the same report id."
    case .stopped(let what):
      return .stopped(before: what, isUnderWay: isUnderWay)
    case .malformed, .unexpected:
      (advice, kind) = ("Check that the endpoint is AWS IoT's MQTT broker.", .permanent)
    }
    return TransportFailure(reason: "\(error)", advice: advice, kind)
  }

  /// Returns the advice for a return code of MQTT 3.1.1's CONNACK, and whether another attempt may succeed.
  private func refusal(_ code: UInt8) -> (advice: String, kind: TransportFailure.Kind) {
    switch code {
    case 1: ("Check that the endpoint is AWS IoT's MQTT broker; it must support MQTT 5 or 3.1.1.", .permanent)
    case 2: ("Choose another DEFENDER_CLIENT_ID.", .permanent)
    case 3: ("The broker is unavailable; the agent tries again.", .transient)
    default: ("Allow iot:Connect on client/\(clientID) in \(policy).", .permanent)
    }
  }

  private func loss(at stage: Stage, topic: String, isPublishing: Bool) -> String {
    switch (stage, isPublishing) {
    case (.connecting, _):
      let certificate =
        showsCertificate
        ? "if the certificate is missing, isn't active in this account or has no policy, or " : ""
      return "Nothing was published. AWS IoT closes a connection \(certificate)"
        + "if \(policy) doesn't allow iot:Connect on client/\(clientID). A server that isn't an MQTT broker closes it, too."
    case (.accepted, true):
      return
        "Nothing was acknowledged on this connection. Another client that connects as '\(clientID)' ends it, "
        + "and so does AWS IoT if \(policy) doesn't allow iot:Publish on topic/\(topic)."
    case (.held, true):
      return "The connection held until the report was sent. AWS IoT closes it if \(policy) doesn't allow "
        + "iot:Publish on topic/\(topic), and if another client connects as '\(clientID)'."
    case (.accepted, false):
      return
        "The broker accepted the connection and closed it before anything was published. Another client that "
        + "connects as '\(clientID)' does that; otherwise look for the reason in the broker's log."
    case (.held, false):
      return "Another client that connects as '\(clientID)' would end the connection, too."
    }
  }

  /// Returns a warning that reports are published without their answers. `problem` says why there is no subscription.
  func warning(ofSubscription problem: String) -> String {
    "Can't receive Device Defender's answers; reports are still published: \(problem). Allow "
      + "iot:Subscribe and iot:Receive on the topics /accepted and /rejected. The agent retries every hour."
  }
}
