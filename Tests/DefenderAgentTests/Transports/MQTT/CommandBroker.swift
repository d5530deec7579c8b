import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import WireFormats

/// A broker that grants the answers' subscription, and treats that to commands as the test sets it.
final class CommandBroker: BrokerConnector, ByteStream {
  enum Manner {
    case grant, refuse
    /// Closes the connection, as AWS IoT does over MQTT 3.1.1 if a policy doesn't allow an operation.
    case hangUp
  }

  let endpoint = "mqtts://broker:8883"
  let showsCertificate = true
  private let time: ManualTime
  private let version: ProtocolVersion
  /// Whether the connection is open. The client notices a closed one when it reads.
  var isOpen = false
  /// Whether new connections are refused.
  var isDown = false
  /// The deadline of the last attempt to connect.
  private(set) var connectDeadline: BootTime?
  private var incoming: [UInt8] = []
  private(set) var connections = 0
  /// The body of each received packet with the type.
  private(set) var packets: [(type: UInt8, body: [UInt8])] = []
  var subscription = Manner.grant
  var response = Manner.grant
  /// A message that the broker repeats every millisecond until `end`; nil if there is none.
  var flood: (message: [UInt8], end: BootTime)?
  /// What follows the SUBACK for commands, in the same piece.
  var afterSubscription: [UInt8] = []

  init(_ version: ProtocolVersion, time: ManualTime) {
    self.version = version
    self.time = time
  }

  func count(_ type: UInt8) -> Int { packets.count { $0.type == type } }

  /// The payloads of the messages that the client sent to `topic`.
  func payloads(to topic: String) -> [String] {
    packets.filter { $0.type == 3 && self.topic(of: $0.body) == topic }.map { packet in
      let start = packet.body.firstIndex(of: UInt8(ascii: "{")) ?? packet.body.endIndex
      return String(decoding: packet.body[start...], as: UTF8.self)
    }
  }

  /// Sends a message with quality of service 1.
  func send(_ payload: String, on topic: String, flags: UInt8 = 0x02) {
    incoming += message(payload, on: topic, flags: flags)
  }

  func message(_ payload: String, on topic: String, flags: UInt8) -> [UInt8] {
    var body = [0, UInt8(topic.utf8.count)] + Array(topic.utf8) + [0, 77]
    if version == .five { body.append(0) }
    body += Array(payload.utf8)
    return [0x30 | flags] + variableLength(body.count) + body
  }

  /// Returns the remaining length of a packet (MQTT 3.1.1, section 2.2.3).
  private func variableLength(_ count: Int) -> [UInt8] {
    count < 128 ? [UInt8(count)] : [UInt8(count % 128) | 0x80] + variableLength(count / 128)
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    connections += 1
    connectDeadline = deadline
    incoming = []
    guard !isDown else {
      throw TransportFailure(reason: "no route to host", advice: "Check the network.", isTransient: true)
    }
    isOpen = true
    return self
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty, let flood, time.bootTime < flood.end {
      time.advance(by: .milliseconds(1))
      incoming = flood.message
    }
    if incoming.isEmpty, !isOpen { return 0 }
    return try take(&incoming, into: &buffer, limit: limit, at: time, until: deadline)
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    let type = bytes[0] >> 4
    let body = Array(bytes.dropFirst().drop { $0 & 0x80 != 0 }.dropFirst())
    packets.append((type, body))
    switch type {
    case 1: incoming += version == .five ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]
    case 3: acknowledge(body)
    case 8: subscribe(body)
    case 12: incoming += [0xD0, 0]
    default: break
    }
  }

  func close() {}

  private func topic(of body: [UInt8]) -> String {
    String(decoding: body[2..<(2 + Int(body[0]) << 8 + Int(body[1]))], as: UTF8.self)
  }

  private func acknowledge(_ body: [UInt8]) {
    let end = 2 + Int(body[0]) << 8 + Int(body[1])
    let id = Array(body[end..<(end + 2)])
    switch topic(of: body).hasSuffix("/response") ? response : .grant {
    case .grant: incoming += [0x40, 2] + id
    case .refuse: incoming += [0x40, 4] + id + [0x87, 0]
    case .hangUp: isOpen = false
    }
  }

  private func subscribe(_ body: [UInt8]) {
    let isOfCommands = String(decoding: body, as: UTF8.self).contains("c/t")
    let codes: [UInt8] = isOfCommands ? [subscription == .refuse ? 0x87 : 1] : [1, 1]
    if isOfCommands, subscription == .hangUp {
      isOpen = false
      return
    }
    let answer = Array(body.prefix(2)) + (version == .five ? [0] : [])
    let granted = codes.map { $0 == 0x87 && version == .three ? 0x80 : $0 }
    incoming += [0x90, UInt8(answer.count + granted.count)] + answer + granted
    if isOfCommands { incoming += afterSubscription }
  }
}

/// Moves at most `limit` bytes from what a scripted broker has sent to `buffer`, and returns their number. If the broker has sent
/// nothing, the time passes until `deadline`.
func take(
  _ incoming: inout [UInt8], into buffer: inout [UInt8], limit: Int, at time: ManualTime,
  until deadline: BootTime
) throws(StreamError) -> Int {
  guard !incoming.isEmpty else {
    if time.bootTime < deadline { time.advance(by: time.bootTime.duration(to: deadline)) }
    throw .timedOut
  }
  let piece = incoming.prefix(limit)
  incoming.removeFirst(piece.count)
  buffer += piece
  return piece.count
}
