import WireFormats
/// Extracts packets from bytes that arrive in pieces (MQTT 3.1.1, section 2).
///
/// Nothing is trusted: a length is checked against the limit before the packet's body is awaited, and a packet that no
/// server may send is an error, which ends the connection (section 4.8).
package struct PacketReader {
  /// The largest remaining length that is accepted. AWS IoT's own limit is 128 KiB of payload.
  package static let defaultLimit = 192 * 1_024

  private let limit: Int
  private var buffer: [UInt8] = []

  package init(limit: Int = PacketReader.defaultLimit) {
    self.limit = limit
  }

  /// The number of bytes that are buffered until their packet is complete.
  var pendingCount: Int { buffer.count }

  package mutating func append(_ bytes: some Sequence<UInt8>) {
    buffer.append(contentsOf: bytes)
  }

  /// Returns the next packet; nil if it isn't complete yet.
  package mutating func next() throws(PacketError) -> IncomingPacket? {
    guard let firstByte = buffer.first else { return nil }
    // Check the type before the length, so that no bytes are buffered for a packet that will be rejected.
    let kind = try PacketKind(firstByte: firstByte)
    guard let (length, headerSize) = try remainingLength(of: kind) else { return nil }
    guard buffer.count - headerSize >= length else { return nil }
    var body = PacketBody(kind: kind, bytes: buffer[headerSize..<(headerSize + length)])
    let packet = try body.packet(flags: firstByte & 0x0F)
    dropFirst(headerSize + length)
    return packet
  }

  /// Returns the remaining length and the size of the fixed header; nil if the length isn't complete yet.
  private func remainingLength(of kind: PacketKind) throws(PacketError) -> (length: Int, headerSize: Int)? {
    var length = 0
    for (index, byte) in buffer.dropFirst().prefix(4).enumerated() {
      length |= Int(byte & 0x7F) << (7 * index)
      if byte & 0x80 == 0 {
        guard length <= limit else {
          throw PacketError(kind.name, "its length is \(length) bytes, but the limit is \(limit)")
        }
        return (length, index + 2)
      }
    }
    guard buffer.count <= 4 else { throw PacketError(kind.name, "the length has more than four bytes") }
    return nil
  }

  private mutating func dropFirst(_ count: Int) {
    // A single large message shouldn't occupy memory for the rest of the connection.
    if count == buffer.count { buffer = [] } else { buffer.removeFirst(count) }
  }
}

/// The types of packet that a server may send, by the upper four bits of the first byte (section 2.2.1).
private enum PacketKind: UInt8 {
  case connectAcknowledgement = 2
  case publish = 3
  case publishAcknowledgement = 4
  case subscribeAcknowledgement = 9
  case pingResponse = 13

  init(firstByte: UInt8) throws(PacketError) {
    guard let kind = PacketKind(rawValue: firstByte >> 4) else {
      throw PacketError("a packet of type \(firstByte >> 4)", "servers don't send this type")
    }
    if kind != .publish, firstByte & 0x0F != 0 {
      throw PacketError(kind.name, "the flags are \(firstByte & 0x0F) instead of 0")
    }
    self = kind
  }

  var name: String {
    switch self {
    case .connectAcknowledgement: "CONNACK"
    case .publish: "PUBLISH"
    case .publishAcknowledgement: "PUBACK"
    case .subscribeAcknowledgement: "SUBACK"
    case .pingResponse: "PINGRESP"
    }
  }
}

/// The bytes after the fixed header, which are consumed from front to back.
private struct PacketBody {
  let kind: PacketKind
  var bytes: ArraySlice<UInt8>

  mutating func packet(flags: UInt8) throws(PacketError) -> IncomingPacket {
    let packet: IncomingPacket
    switch kind {
    case .connectAcknowledgement:
      let acknowledgeFlags = try byte("the flags")
      guard acknowledgeFlags <= 1 else { throw error("the acknowledge flags are \(acknowledgeFlags)") }
      packet = .connectAcknowledgement(
        sessionPresent: acknowledgeFlags == 1, returnCode: try byte("the return code"))
    case .publish:
      packet = try publish(flags: flags)
    case .publishAcknowledgement:
      packet = .publishAcknowledgement(packetID: try packetID())
    case .subscribeAcknowledgement:
      packet = .subscribeAcknowledgement(packetID: try packetID(), returnCodes: takeRest())
    case .pingResponse:
      packet = .pingResponse
    }
    guard bytes.isEmpty else { throw error("\(bytes.count) unexpected bytes at the end") }
    return packet
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
    guard !topic.isEmpty else { throw error("the topic is empty") }
    guard !topic.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) else {
      throw error("the topic has a wildcard")
    }
    let packetID = quality == .atLeastOnce ? try packetID() : nil
    let message = Message(topic: topic, payload: takeRest(), isRetained: flags & 0x01 != 0)
    return .publish(message, packetID: packetID, isDuplicate: isDuplicate)
  }

  private mutating func byte(_ what: String) throws(PacketError) -> UInt8 {
    guard let byte = bytes.popFirst() else { throw error("it ends before \(what)") }
    return byte
  }

  private mutating func number(_ what: String) throws(PacketError) -> UInt16 {
    UInt16(try byte(what)) << 8 | UInt16(try byte(what))
  }

  private mutating func packetID() throws(PacketError) -> UInt16 {
    let packetID = try number("the packet identifier")
    guard packetID != 0 else { throw error("the packet identifier is 0") }
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

  private func error(_ reason: String) -> PacketError { PacketError(kind.name, reason) }
}
