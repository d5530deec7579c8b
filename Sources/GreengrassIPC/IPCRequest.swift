package import WireFormats

/// A request for an operation of Greengrass IPC, with its arguments.
///
/// For the members, see "Interact with AWS IoT Core", "Interact with component configuration" and "Interact with
/// component lifecycle" in the Greengrass V2 developer guide.
package struct IPCRequest: Equatable, Sendable {
  /// The operation's name without its namespace, such as `PublishToIoTCore`.
  package let operation: String
  /// The topic that the request is about, for messages; nil if it has none.
  package let subject: String?
  package let payload: [UInt8]

  /// Publishes to AWS IoT Core over the nucleus's MQTT connection.
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

  /// Subscribes to the messages that AWS IoT Core sends on topics that match `topicFilter`.
  package static func subscribeToIoTCore(topicFilter: String, qualityOfService: QualityOfService)
    -> IPCRequest
  {
    IPCRequest(
      operation: "SubscribeToIoTCore", subject: topicFilter,
      payload: jsonObject([
        ("topicName", json(topicFilter)), ("qos", json(String(qualityOfService.rawValue))),
      ]))
  }

  /// Subscribes to the state of the core's connection to AWS IoT. The nucleus sends the current state first.
  ///
  /// No `accessControl` is needed. The classic nucleus up to 2.18.2 and nucleus lite up to
  /// 2.6.0 don't know the operation (lambda/greengrass/README.md).
  package static let subscribeToIoTCoreConnectionStatus = IPCRequest(
    operation: "SubscribeToIoTCoreConnectionStatus", subject: nil, payload: jsonObject([]))

  /// Requests the whole configuration of this component.
  package static let getConfiguration = IPCRequest(
    operation: "GetConfiguration", subject: nil, payload: jsonObject([]))

  /// Subscribes to notifications of changes in this component's configuration.
  package static let subscribeToConfigurationUpdate = IPCRequest(
    operation: "SubscribeToConfigurationUpdate", subject: nil, payload: jsonObject([]))

  /// The lifecycle states that a component can report.
  package enum State: String, Sendable {
    case running = "RUNNING"
    case errored = "ERRORED"
  }

  /// Reports the component's state to the nucleus.
  ///
  /// `RUNNING` ends the lifecycle step `startup`. With the step `run`, the classic nucleus already knows the state and
  /// only logs the report, and lite passes it to systemd. After `ERRORED` the classic nucleus restarts the component, and
  /// marks it as `BROKEN` at the third time within an hour; lite does nothing.
  package static func updateState(_ state: State) -> IPCRequest {
    IPCRequest(
      operation: "UpdateState", subject: nil, payload: jsonObject([("state", json(state.rawValue))]))
  }

  /// Returns the longest payload that `publishToIoTCore` can send to `topic` if a message may have at most `limit` bytes;
  /// 0 if even an empty one doesn't fit.
  ///
  /// Base64 encodes three bytes as four.
  package static func maximumPublishPayload(topic: String, messageLimit limit: Int) -> Int {
    let empty = EventStreamMessage.request(
      publishToIoTCore(topic: topic, qualityOfService: .atLeastOnce, payload: []), streamID: 1)
    // Header names and operation names are constant and short, so encoding this message never fails.
    guard let overhead = try? empty.encoded().count else { return 0 }
    return max(0, (limit - overhead) / 4 * 3)
  }

  /// The longest message that Greengrass nucleus lite reads. It allows 10,000 bytes after the prelude, and closes the
  /// connection without an error if a message is longer.
  package static let messageLimitOfLite = 10_000 + EventStreamMessage.preludeLength
}
