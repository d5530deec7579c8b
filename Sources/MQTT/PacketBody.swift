import WireFormats

/// The bytes after the fixed header, which are consumed from front to back.
struct PacketBody {
  let kind: PacketKind
  let version: ProtocolVersion
  var bytes: ArraySlice<UInt8>

  init(_ kind: PacketKind, _ version: ProtocolVersion, _ bytes: ArraySlice<UInt8>) {
    self.kind = kind
    self.version = version
    self.bytes = bytes
  }

  mutating func packet(flags: UInt8) throws(PacketError) -> IncomingPacket {
    let packet: IncomingPacket
    switch kind {
    case .connectAcknowledgement: packet = try connectAcknowledgement()
    case .publish: packet = try publish(flags: flags)
    case .publishAcknowledgement:
      let packetID = try packetID()
      packet = .publishAcknowledgement(packetID: packetID, version == .five ? try reason() : Reason(.success))
    case .subscribeAcknowledgement:
      let packetID = try packetID()
      let words = version == .five ? try properties().words : nil
      packet = .subscribeAcknowledgement(
        packetID: packetID, returnCodes: takeRest(), text: Reason(.success, words).text)
    case .pingResponse: packet = .pingResponse
    case .disconnect: packet = .disconnect(try reason())
    }
    guard bytes.isEmpty else { throw error("\(bytes.count) unexpected bytes at the end") }
    return packet
  }

  private mutating func connectAcknowledgement() throws(PacketError) -> IncomingPacket {
    let flags = try byte("the flags")
    guard flags <= 1 else { throw error("the acknowledge flags are \(flags)") }
    let code = try byte("the return code")
    // A server refuses the other version in its own form. Codes from 128 on exist in MQTT 5 only.
    if version == .three ? code < 0x80 || bytes.isEmpty : bytes.isEmpty && (1...5).contains(code) {
      return .connectAcknowledgement(sessionPresent: flags == 1, returnCode: code)
    }
    guard code == 0 || code >= 0x80 else { throw error("the reason code is \(code)") }
    let properties = try properties()
    let reason = Reason(ReasonCode(rawValue: code), properties.words)
    return .connectAnswer(sessionPresent: flags == 1, reason, properties.limits)
  }

  private mutating func publish(flags: UInt8) throws(PacketError) -> IncomingPacket {
    let isDuplicate = flags & 0x08 != 0
    // The client never subscribes with quality of service 2, and 3 doesn't exist.
    guard let quality = QualityOfService(rawValue: flags >> 1 & 0x03) else {
      throw error("the quality of service is \(flags >> 1 & 0x03), but at most 1 was subscribed")
    }
    if isDuplicate, quality == .atMostOnce {
      throw error("it is marked as a duplicate, but its quality of service is 0")
    }
    let topic = try text("the topic")
    let packetID = quality == .atLeastOnce ? try packetID() : nil
    if version == .five { _ = try properties() }
    guard !topic.isEmpty else { throw error("the topic is empty") }
    guard !topic.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) else {
      throw error("the topic has a wildcard")
    }
    let message = Message(topic: topic, payload: takeRest(), isRetained: flags & 0x01 != 0)
    return .publish(message, packetID: packetID, isDuplicate: isDuplicate)
  }

  /// Reads the reason code and the properties of a PUBACK or DISCONNECT of MQTT 5, which may both be missing (sections
  /// 3.4.2 and 3.14.2).
  private mutating func reason() throws(PacketError) -> Reason {
    guard let code = bytes.popFirst() else { return Reason(.success) }
    // "No matching subscribers" is a success, too.
    guard code == 0 || code >= 0x80 || code == 0x10 && kind == .publishAcknowledgement else {
      throw error("the reason code is \(code)")
    }
    let words = bytes.isEmpty ? nil : try properties().words
    return Reason(ReasonCode(rawValue: code), words)
  }

  // MARK: Properties

  private mutating func properties() throws(PacketError) -> Properties {
    let length = try variableInteger("the length of the properties")
    guard bytes.count >= length else { throw error("it ends inside the properties") }
    var content = PacketBody(kind, version, bytes.prefix(length))
    bytes = bytes.dropFirst(length)
    var properties = Properties()
    var seen: UInt64 = 0
    while !content.bytes.isEmpty { try content.takeProperty(into: &properties, &seen) }
    return properties
  }

  /// Reads one property. `seen` has a bit for each identifier that the packet already contained.
  private mutating func takeProperty(
    into properties: inout Properties, _ seen: inout UInt64
  ) throws(PacketError) {
    let identifier = try variableInteger("the identifier of a property")
    guard let property = UInt8(exactly: identifier).flatMap(PropertyKind.init(rawValue:)) else {
      throw error("there is no property \(identifier)")
    }
    guard property.isAllowed(in: kind) else {
      throw error("\(property.name) isn't allowed in it", .protocolError)
    }
    guard property.mayRepeat || seen & 1 << property.rawValue == 0 else {
      throw error("\(property.name) is repeated", .protocolError)
    }
    seen |= 1 << property.rawValue
    switch property.encoding {
    case .flag, .twoBytes, .fourBytes, .variableInteger:
      try use(try value(of: property), of: property, in: &properties)
    case .text: use(try text(property.name), of: property, in: &properties)
    case .binary: try skip(property)
    case .pair:
      _ = try text(property.name)
      _ = try text(property.name)
    }
  }

  private mutating func value(of property: PropertyKind) throws(PacketError) -> Int {
    let name = property.name
    let value: Int
    switch property.encoding {
    case .flag:
      value = Int(try byte(name))
      guard value <= 1 else { throw error("\(name) is \(value)", .protocolError) }
    case .twoBytes: value = Int(try number(name))
    case .fourBytes: value = Int(try number(name)) << 16 | Int(try number(name))
    default: value = try variableInteger(name)
    }
    if value == 0, property.mustBePositive { throw error("\(name) is 0", .protocolError) }
    return value
  }

  private func use(
    _ value: Int, of property: PropertyKind, in properties: inout Properties
  ) throws(PacketError) {
    switch property {
    case .receiveMaximum: properties.limits.receiveMaximum = UInt16(clamping: value)
    case .maximumPacketSize: properties.limits.maximumPacketSize = value
    case .serverKeepAlive: properties.limits.keepAliveSeconds = UInt16(clamping: value)
    case .maximumQoS: properties.limits.acceptsAtLeastOnce = value > 0
    case .topicAlias:
      // The CONNECT packet allows none.
      throw error("the topic alias is \(value), but none is allowed", .invalidTopicAlias)
    default: break
    }
  }

  private func use(_ value: String, of property: PropertyKind, in properties: inout Properties) {
    switch property {
    case .reasonString: properties.reasonString = value
    case .serverReference: properties.serverReference = value
    case .assignedClientIdentifier: properties.limits.assignedClientID = value
    default: break
    }
  }

  private mutating func skip(_ property: PropertyKind) throws(PacketError) {
    let length = Int(try number(property.name))
    guard bytes.count >= length else { throw error("it ends inside \(property.name)") }
    bytes = bytes.dropFirst(length)
  }

  // MARK: Elements

  private mutating func byte(_ what: String) throws(PacketError) -> UInt8 {
    guard let byte = bytes.popFirst() else { throw error("it ends before \(what)") }
    return byte
  }

  private mutating func number(_ what: String) throws(PacketError) -> UInt16 {
    UInt16(try byte(what)) << 8 | UInt16(try byte(what))
  }

  private mutating func variableInteger(_ what: String) throws(PacketError) -> Int {
    guard let integer = try VariableInteger(bytes, what, of: kind, version) else {
      throw error("it ends before \(what)")
    }
    bytes = bytes.dropFirst(integer.size)
    return integer.value
  }

  private mutating func packetID() throws(PacketError) -> UInt16 {
    let packetID = try number("the packet identifier")
    guard packetID != 0 else { throw error("the packet identifier is 0", .protocolError) }
    return packetID
  }

  private mutating func text(_ what: String) throws(PacketError) -> String {
    let length = Int(try number(what))
    guard bytes.count >= length else { throw error("it ends inside \(what)") }
    let content = bytes.prefix(length)
    bytes = bytes.dropFirst(length)
    guard !content.contains(0), let text = String(validating: content, as: UTF8.self) else {
      throw error("\(what) isn't text in UTF-8 without NUL")
    }
    return text
  }

  private mutating func takeRest() -> [UInt8] {
    let rest = Array(bytes)
    bytes = []
    return rest
  }

  private func error(_ reason: String, _ code: ReasonCode = .malformedPacket) -> PacketError {
    PacketError(kind.name, reason, code)
  }
}
