import WireFormats

extension OutgoingPacket {
  /// Returns the packet as bytes; throws `MQTTError.invalid` if a string or the packet is too long for MQTT, or a string
  /// contains a NUL.
  func encoded(for version: ProtocolVersion) throws(MQTTError) -> [UInt8] {
    var body: [UInt8] = []
    let firstByte: UInt8
    switch self {
    case .connect(let options, let packetLimit):
      firstByte = 0x10
      try append("MQTT", to: &body)
      // The only flag set requests a session without earlier state: "clean session" or "clean start".
      body.append(contentsOf: [version.level, 0x02])
      appendBigEndian(options.keepAliveSeconds, to: &body)
      if version == .five { try appendConnectProperties(packetLimit, to: &body) }
      try append(options.clientID, to: &body)
    case .publish(let message, let quality, let packetID):
      firstByte = 0x30 | quality.rawValue << 1
      try append(message.topic, to: &body)
      if quality == .atLeastOnce { appendBigEndian(packetID, to: &body) }
      if version == .five { try append(message.properties, to: &body) }
      body.append(contentsOf: message.payload)
    case .publishAcknowledgement(let packetID):
      // Without a reason code, it means success in both versions.
      firstByte = 0x40
      appendBigEndian(packetID, to: &body)
    case .subscribe(let topicFilters, let packetID, let wantsRetained):
      firstByte = 0x82
      appendBigEndian(packetID, to: &body)
      if version == .five { body.append(0) }
      // Bits 4 and 5 are the retain handling; 2 stands for "don't send retained messages" (MQTT 5, section 3.8.3.1).
      let retainHandling: UInt8 = version == .five && !wantsRetained ? 2 << 4 : 0
      for filter in topicFilters {
        try append(filter, to: &body)
        body.append(QualityOfService.atLeastOnce.rawValue | retainHandling)
      }
    case .pingRequest:
      firstByte = 0xC0
    case .disconnect(let code):
      firstByte = 0xE0
      if version == .five, code != .success { body.append(code.rawValue) }
    }
    var packet = [firstByte]
    try appendVariableInteger(body.count, to: &packet)
    return packet + body
  }

  private func appendConnectProperties(_ packetLimit: Int, to body: inout [UInt8]) throws(MQTTError) {
    var properties: [UInt8] = []
    // The server forgets the session when the connection ends.
    properties.append(PropertyKind.sessionExpiryInterval.rawValue)
    appendBigEndian(UInt32(0), to: &properties)
    properties.append(PropertyKind.receiveMaximum.rawValue)
    appendBigEndian(UInt16(Session.inboxLimit), to: &properties)
    properties.append(PropertyKind.maximumPacketSize.rawValue)
    appendBigEndian(UInt32(clamping: packetLimit), to: &properties)
    try appendVariableInteger(properties.count, to: &body)
    body.append(contentsOf: properties)
  }

  private func append(_ message: MessageProperties, to body: inout [UInt8]) throws(MQTTError) {
    var properties: [UInt8] = []
    if let seconds = message.expirySeconds {
      properties.append(PropertyKind.messageExpiryInterval.rawValue)
      appendBigEndian(seconds, to: &properties)
    }
    if let type = message.contentType {
      properties.append(PropertyKind.contentType.rawValue)
      try append(type, to: &properties)
    }
    for property in message.userProperties {
      properties.append(PropertyKind.userProperty.rawValue)
      try append(property.name, to: &properties)
      try append(property.value, to: &properties)
    }
    try appendVariableInteger(properties.count, to: &body)
    body.append(contentsOf: properties)
  }

  private func append(_ text: String, to body: inout [UInt8]) throws(MQTTError) {
    guard let length = UInt16(exactly: text.utf8.count) else {
      throw .invalid("a string of \(text.utf8.count) bytes; the maximum is 65,535")
    }
    guard !text.utf8.contains(0) else { throw .invalid("a string with a NUL character") }
    appendBigEndian(length, to: &body)
    body.append(contentsOf: text.utf8)
  }

  /// Encodes a length in groups of seven bits, the lowest first (MQTT 5, section 1.5.5).
  private func appendVariableInteger(_ length: Int, to bytes: inout [UInt8]) throws(MQTTError) {
    guard length <= maximumVariableInteger else {
      throw .invalid("a packet of \(length) bytes; the maximum is \(maximumVariableInteger)")
    }
    var rest = length
    repeat {
      let isLast = rest < 0x80
      bytes.append(UInt8(rest & 0x7F) | (isLast ? 0 : 0x80))
      rest >>= 7
    } while rest > 0
  }
}

/// The largest number in four groups of seven bits (MQTT 5, section 1.5.5).
private let maximumVariableInteger = 268_435_455
