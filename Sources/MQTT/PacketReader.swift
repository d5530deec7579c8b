/// Extracts packets from bytes that arrive in pieces (section 2 of MQTT 3.1.1 and MQTT 5).
///
/// Nothing is trusted: a length is checked against the limit before the packet's body is awaited, and a packet that no
/// server may send is an error, which ends the connection (section 4.8 of MQTT 3.1.1, 4.13 of MQTT 5).
package struct PacketReader {
  /// The largest remaining length that is accepted. AWS IoT's own limit is 128 KiB of payload.
  package static let defaultLimit = 192 * 1_024

  private let limit: Int
  private let version: ProtocolVersion
  private var buffer: [UInt8] = []

  package init(limit: Int = PacketReader.defaultLimit, version: ProtocolVersion = .three) {
    self.limit = limit
    self.version = version
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
    let kind = try PacketKind(firstByte: firstByte, version)
    guard let length = try VariableInteger(buffer.dropFirst(), "the length", of: kind, version) else {
      return nil
    }
    guard length.value <= limit else {
      throw PacketError(
        kind.name, "its length is \(length.value) bytes, but the limit is \(limit)", .packetTooLarge)
    }
    let headerSize = 1 + length.size
    guard buffer.count - headerSize >= length.value else { return nil }
    var body = PacketBody(kind, version, buffer[headerSize..<(headerSize + length.value)])
    let packet = try body.packet(flags: firstByte & 0x0F)
    dropFirst(headerSize + length.value)
    return packet
  }

  private mutating func dropFirst(_ count: Int) {
    // A single large message shouldn't occupy memory for the rest of the connection.
    if count == buffer.count { buffer = [] } else { buffer.removeFirst(count) }
  }
}

/// A number in groups of seven bits, the lowest first (MQTT 5, section 1.5.5).
struct VariableInteger {
  let value: Int
  /// The number of bytes that encode it.
  let size: Int

  /// Reads the number at the beginning of `bytes`; nil if it isn't complete. `what` names it in errors.
  init?(
    _ bytes: ArraySlice<UInt8>, _ what: String, of kind: PacketKind, _ version: ProtocolVersion
  ) throws(PacketError) {
    var value = 0
    for (index, byte) in bytes.prefix(4).enumerated() {
      value |= Int(byte & 0x7F) << (7 * index)
      guard byte & 0x80 == 0 else { continue }
      // MQTT 3.1.1 allows unnecessary bytes.
      guard byte != 0 || index == 0 || version == .three else {
        throw PacketError(kind.name, "\(what) has unnecessary bytes")
      }
      self.value = value
      size = index + 1
      return
    }
    guard bytes.count < 4 else { throw PacketError(kind.name, "\(what) has more than four bytes") }
    return nil
  }
}

/// The types of packet that a server may send, by the upper four bits of the first byte (section 2.2.1 of MQTT 3.1.1).
enum PacketKind: UInt8 {
  case connectAcknowledgement = 2
  case publish = 3
  case publishAcknowledgement = 4
  case subscribeAcknowledgement = 9
  case pingResponse = 13
  case disconnect = 14

  init(firstByte: UInt8, _ version: ProtocolVersion) throws(PacketError) {
    guard let kind = PacketKind(rawValue: firstByte >> 4), kind != .disconnect || version == .five else {
      throw PacketError(
        "a packet of type \(firstByte >> 4)", "servers don't send this type", .protocolError)
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
    case .disconnect: "DISCONNECT"
    }
  }
}
