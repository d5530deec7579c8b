import WireFormats

/// A message on a topic.
package struct Message: Equatable, Sendable {
  package var topic: String
  package var payload: [UInt8]
  /// Whether the server retained the message from before the subscription (MQTT 3.1.1, section 3.3.1.3). The client never
  /// sends retained messages.
  package var isRetained: Bool

  package init(topic: String, payload: [UInt8], isRetained: Bool = false) {
    self.topic = topic
    self.payload = payload
    self.isRetained = isRetained
  }
}

/// The options of the CONNECT packet (MQTT 3.1.1, section 3.1).
package struct ConnectOptions: Equatable, Sendable {
  /// The client identifier. A second connection with the same identifier ends the first.
  package var clientID: String
  /// The longest time without a sent packet before the client pings the server; 0 for no pings.
  package var keepAliveSeconds: UInt16

  package init(clientID: String, keepAliveSeconds: UInt16) {
    self.clientID = clientID
    self.keepAliveSeconds = keepAliveSeconds
  }
}

/// The packets that a client sends (MQTT 3.1.1, section 3).
enum OutgoingPacket: Equatable {
  case connect(ConnectOptions)
  case publish(Message, QualityOfService, packetID: UInt16)
  case publishAcknowledgement(packetID: UInt16)
  case subscribe(topicFilters: [String], packetID: UInt16)
  case pingRequest
  case disconnect

  /// Returns the packet as bytes; throws `MQTTError.invalid` if a string or the packet is too long for MQTT, or a string
  /// contains a NUL.
  func encoded() throws(MQTTError) -> [UInt8] {
    var body: [UInt8] = []
    let firstByte: UInt8
    switch self {
    case .connect(let options):
      firstByte = 0x10
      try append("MQTT", to: &body)
      // Protocol level 4 is version 3.1.1; the only flag set requests a clean session.
      body.append(contentsOf: [4, 0x02])
      appendBigEndian(options.keepAliveSeconds, to: &body)
      try append(options.clientID, to: &body)
    case .publish(let message, let quality, let packetID):
      firstByte = 0x30 | quality.rawValue << 1
      try append(message.topic, to: &body)
      if quality == .atLeastOnce { appendBigEndian(packetID, to: &body) }
      body.append(contentsOf: message.payload)
    case .publishAcknowledgement(let packetID):
      firstByte = 0x40
      appendBigEndian(packetID, to: &body)
    case .subscribe(let topicFilters, let packetID):
      firstByte = 0x82
      appendBigEndian(packetID, to: &body)
      for filter in topicFilters {
        try append(filter, to: &body)
        body.append(QualityOfService.atLeastOnce.rawValue)
      }
    case .pingRequest:
      firstByte = 0xC0
    case .disconnect:
      firstByte = 0xE0
    }
    return try [firstByte] + remainingLength(body.count) + body
  }

  private func append(_ text: String, to body: inout [UInt8]) throws(MQTTError) {
    guard let length = UInt16(exactly: text.utf8.count) else {
      throw .invalid("a string of \(text.utf8.count) bytes; the maximum is 65,535")
    }
    guard !text.utf8.contains(0) else { throw .invalid("a string with a NUL character") }
    appendBigEndian(length, to: &body)
    body.append(contentsOf: text.utf8)
  }

  /// Encodes a length in groups of seven bits, the lowest first (section 2.2.3).
  private func remainingLength(_ length: Int) throws(MQTTError) -> [UInt8] {
    guard length <= maximumRemainingLength else {
      throw .invalid("a packet of \(length) bytes; the maximum is \(maximumRemainingLength)")
    }
    var encoded: [UInt8] = []
    var rest = length
    repeat {
      let isLast = rest < 0x80
      encoded.append(UInt8(rest & 0x7F) | (isLast ? 0 : 0x80))
      rest >>= 7
    } while rest > 0
    return encoded
  }
}

/// The largest number in four groups of seven bits (MQTT 3.1.1, section 2.2.3).
let maximumRemainingLength = 268_435_455

/// The packets that a server sends to a client that subscribes and publishes with quality of service 0 and 1.
package enum IncomingPacket: Equatable, Sendable {
  case connectAcknowledgement(sessionPresent: Bool, returnCode: UInt8)
  /// `packetID` is nil if the server doesn't expect an acknowledgement.
  case publish(Message, packetID: UInt16?, isDuplicate: Bool)
  case publishAcknowledgement(packetID: UInt16)
  case subscribeAcknowledgement(packetID: UInt16, returnCodes: [UInt8])
  case pingResponse

  /// The packet's name in the specification.
  package var name: String {
    switch self {
    case .connectAcknowledgement: "CONNACK"
    case .publish: "PUBLISH"
    case .publishAcknowledgement: "PUBACK"
    case .subscribeAcknowledgement: "SUBACK"
    case .pingResponse: "PINGRESP"
    }
  }
}

/// The reason why bytes aren't a packet that a server may send.
package struct PacketError: Error, Equatable, Sendable, CustomStringConvertible {
  package let packet: String
  package let reason: String

  init(_ packet: String, _ reason: String) {
    self.packet = packet
    self.reason = reason
  }

  package var description: String { "\(packet): \(reason)" }
}
