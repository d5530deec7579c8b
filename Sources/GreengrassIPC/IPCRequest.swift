package import WireFormats

/// An operation of Greengrass IPC and what it is asked with.
///
/// "Interact with AWS IoT Core", "Interact with component configuration" and "Interact with component lifecycle" in
/// the Greengrass V2 developer guide name the members.
package struct IPCRequest: Equatable, Sendable {
  /// Without its namespace, such as `PublishToIoTCore`.
  package let operation: String
  /// What it is about, for messages: a topic, or nothing.
  package let subject: String?
  package let payload: [UInt8]

  /// Publishes to AWS IoT Core by the nucleus's own MQTT connection.
  package static func publishToIoTCore(
    topic: String, qualityOfService: QualityOfService, payload: [UInt8]
  ) -> IPCRequest {
    IPCRequest(
      operation: "PublishToIoTCore", subject: topic,
      payload: jsonObject([
        ("topicName", json(topic)), ("qos", json(String(qualityOfService.rawValue))),
        ("payload", "\"\(base64(payload))\""),
      ]))
  }

  /// Asks for the messages that AWS IoT Core sends to the topics that match `topicFilter`.
  package static func subscribeToIoTCore(topicFilter: String, qualityOfService: QualityOfService)
    -> IPCRequest
  {
    IPCRequest(
      operation: "SubscribeToIoTCore", subject: topicFilter,
      payload: jsonObject([
        ("topicName", json(topicFilter)), ("qos", json(String(qualityOfService.rawValue))),
      ]))
  }

  /// Asks for all of this component's own configuration.
  package static let getConfiguration = IPCRequest(
    operation: "GetConfiguration", subject: nil, payload: jsonObject([]))

  /// Asks to be told when anything in this component's own configuration changes.
  package static let subscribeToConfigurationUpdate = IPCRequest(
    operation: "SubscribeToConfigurationUpdate", subject: nil, payload: jsonObject([]))

  /// The states that a component can tell of itself.
  package enum State: String, Sendable {
    case running = "RUNNING"
    case errored = "ERRORED"
  }

  /// Tells the nucleus how this component does.
  ///
  /// `RUNNING` ends the lifecycle `startup`; with `run` the classic nucleus knows it already and only logs that it was told,
  /// and lite passes it to systemd. After `ERRORED` the classic nucleus stops the component and starts it again, and
  /// gives up on it (`BROKEN`) at the third time within an hour; lite does nothing.
  package static func updateState(_ state: State) -> IPCRequest {
    IPCRequest(
      operation: "UpdateState", subject: nil, payload: jsonObject([("state", json(state.rawValue))]))
  }

  /// The longest payload that `publishToIoTCore` can carry to `topic` where a message may have no more than
  /// `limit` bytes; 0 where there is no room at all.
  ///
  /// Base64 makes four bytes of three.
  package static func maximumPublishPayload(topic: String, messageLimit limit: Int) -> Int {
    let empty = EventStreamMessage.request(
      publishToIoTCore(topic: topic, qualityOfService: .atLeastOnce, payload: []), streamID: 1)
    // Header names and operation names are ours and short: this one can always be encoded.
    guard let overhead = try? empty.encoded().count else { return 0 }
    return max(0, (limit - overhead) / 4 * 3)
  }

  /// The longest message that Greengrass nucleus lite reads: it allows 10,000 bytes after the prelude, and closes the
  /// connection without a word on one that is longer.
  package static let messageLimitOfLite = 10_000 + EventStreamMessage.preludeLength
}
