package import MQTT

/// When the connection to the broker is open.
package enum ConnectionMode: String, CaseIterable, Sendable {
  /// From the first report on. AWS IoT sees the device as connected.
  case persistent
  /// Only during a report. Between reports no connection is open and nothing wakes the device.
  case perReport = "per-report"
}

extension MQTTPublisher {
  package struct Settings: Sendable {
    package var clientID: String
    /// The longest silence on a connection, 30 to 1,200 s with AWS IoT.
    package var keepAliveSeconds: UInt16
    package var connection: ConnectionMode
    /// The version of MQTT to connect with. If it is 5 and the broker refuses it, the agent connects with 3.1.1.
    package var version: ProtocolVersion
    /// How long the broker may keep a report that it can't deliver at once; nil for no limit. Only with MQTT 5.
    package var reportExpirySeconds: UInt32?
    /// The topics of commands and of the responses to them; nil if the agent carries out no commands.
    package var commandTopics: CommandTopics?
    package var delay = ReconnectDelay()
    /// The time limit for CONNACK, for subscribing, and for one acknowledgement, unless the deadline comes first.
    package var stepTimeout = Duration.seconds(10)
    /// The time limit for connecting once the broker's address is known: TCP, the proxy and TLS.
    static let connectTimeout = Duration.seconds(10)
    /// The time limit for a whole connection, unless the deadline comes first.
    ///
    /// It covers resolving the address, which has a separate limit of 10 s, connecting, and for a WebSocket getting the
    /// credentials and the response to the upgrade.
    package var streamTimeout = Duration.seconds(20)

    package init(
      clientID: String, keepAliveSeconds: UInt16, connection: ConnectionMode, version: ProtocolVersion = .five
    ) {
      self.clientID = clientID
      self.keepAliveSeconds = keepAliveSeconds
      self.connection = connection
      self.version = version
    }
  }
}
