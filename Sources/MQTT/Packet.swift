import WireFormats

/// A message on a topic.
package struct Message: Equatable, Sendable {
  package var topic: String
  package var payload: [UInt8]
  /// Whether the server retained the message from before the subscription (MQTT 3.1.1, section 3.3.1.3). The client never
  /// sends retained messages.
  package var isRetained: Bool
  /// The message's properties over MQTT 5. They aren't sent over MQTT 3.1.1, and those of a received message are discarded.
  package var properties = MessageProperties()

  package init(topic: String, payload: [UInt8], isRetained: Bool = false) {
    self.topic = topic
    self.payload = payload
    self.isRetained = isRetained
  }
}

/// The properties of a message over MQTT 5 (section 3.3.2.3).
package struct MessageProperties: Equatable, Sendable {
  /// The seconds after which the server no longer delivers the message; nil for no limit.
  package var expirySeconds: UInt32?
  /// The payload's media type, such as `application/json`.
  package var contentType: String?
  package var userProperties: [UserProperty] = []

  package init() {}
}

/// A name and a value of the application's own (MQTT 5, section 3.3.2.3.7).
package struct UserProperty: Equatable, Sendable {
  package let name: String
  package let value: String

  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// The options of the CONNECT packet (section 3.1 of both specifications).
package struct ConnectOptions: Equatable, Sendable {
  /// The client identifier. A second connection with the same identifier ends the first.
  package var clientID: String
  /// The longest time without a sent packet before the client pings the server; 0 for no pings. A server can replace it
  /// over MQTT 5.
  package var keepAliveSeconds: UInt16
  package var version: ProtocolVersion

  package init(clientID: String, keepAliveSeconds: UInt16, version: ProtocolVersion = .three) {
    self.clientID = clientID
    self.keepAliveSeconds = keepAliveSeconds
    self.version = version
  }
}

/// The packets that a client sends (section 3 of both specifications).
enum OutgoingPacket: Equatable {
  /// `packetLimit` is the size of the largest packet that the client accepts.
  case connect(ConnectOptions, packetLimit: Int)
  case publish(Message, QualityOfService, packetID: UInt16)
  case publishAcknowledgement(packetID: UInt16)
  /// MQTT 3.1.1 can't express that retained messages aren't wanted.
  case subscribe(topicFilters: [String], packetID: UInt16, wantsRetained: Bool = true)
  case pingRequest
  /// MQTT 3.1.1 has no room for the reason.
  case disconnect(ReasonCode = .success)
}

/// What the server's CONNACK limits (MQTT 5, section 3.2.2.3).
package struct ServerLimits: Equatable, Sendable {
  /// How many messages of quality of service 1 may be unacknowledged.
  package var receiveMaximum: UInt16 = .max
  /// The size of the largest packet that the server accepts, in bytes; nil if it names none.
  package var maximumPacketSize: Int?
  /// The keep-alive interval that replaces the client's; nil if the server accepts that.
  package var keepAliveSeconds: UInt16?
  /// The client identifier that the server chose; nil if it keeps the client's.
  package var assignedClientID: String?
  package var acceptsAtLeastOnce = true

  package init() {}
}

/// The packets that a server sends to a client that subscribes and publishes with quality of service 0 and 1.
package enum IncomingPacket: Equatable, Sendable {
  /// A CONNACK of MQTT 3.1.1, with which a server also refuses a version that it doesn't know.
  case connectAcknowledgement(sessionPresent: Bool, returnCode: UInt8)
  /// A CONNACK of MQTT 5.
  case connectAnswer(sessionPresent: Bool, Reason, ServerLimits)
  /// `packetID` is nil if the server doesn't expect an acknowledgement.
  case publish(Message, packetID: UInt16?, isDuplicate: Bool)
  case publishAcknowledgement(packetID: UInt16, Reason = Reason(.success))
  case subscribeAcknowledgement(packetID: UInt16, returnCodes: [UInt8], text: String? = nil)
  case pingResponse
  /// Only over MQTT 5.
  case disconnect(Reason)

  /// The packet's name in the specification.
  package var name: String {
    switch self {
    case .connectAcknowledgement, .connectAnswer: "CONNACK"
    case .publish: "PUBLISH"
    case .publishAcknowledgement: "PUBACK"
    case .subscribeAcknowledgement: "SUBACK"
    case .pingResponse: "PINGRESP"
    case .disconnect: "DISCONNECT"
    }
  }
}

/// The reason why bytes aren't a packet that a server may send.
package struct PacketError: Error, Equatable, Sendable, CustomStringConvertible {
  package let packet: String
  package let reason: String
  /// The code with which the client ends a connection over MQTT 5.
  package let code: ReasonCode

  init(_ packet: String, _ reason: String, _ code: ReasonCode = .malformedPacket) {
    self.packet = packet
    self.reason = reason
    self.code = code
  }

  package var description: String { "\(packet): \(reason)" }
}
