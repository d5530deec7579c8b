import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// A broker that grants the answers' subscription, and treats that to commands as the test sets it.
private final class CommandBroker: BrokerConnector, ByteStream {
  enum Manner {
    case grant, refuse
    /// Closes the connection, as AWS IoT does over MQTT 3.1.1 if a policy doesn't allow an operation.
    case hangUp
  }

  let endpoint = "mqtts://broker:8883"
  let showsCertificate = true
  private let time: ManualTime
  private let version: ProtocolVersion
  private var isOpen = false
  private var incoming: [UInt8] = []
  private(set) var connections = 0
  /// The body of each received packet with the type.
  private(set) var packets: [(type: UInt8, body: [UInt8])] = []
  var subscription = Manner.grant
  var response = Manner.grant
  /// A message that the broker repeats every millisecond until `end`; nil if there is none.
  var flood: (message: [UInt8], end: BootTime)?
  /// What follows the SUBACK for commands.
  var retained: [UInt8] = []

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
    // All messages of these tests are shorter than 128 bytes.
    return [0x30 | flags, UInt8(body.count)] + body
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    connections += 1
    incoming = []
    isOpen = true
    return self
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty, let flood, time.bootTime < flood.end {
      time.advance(by: .milliseconds(1))
      incoming = flood.message
    }
    guard !incoming.isEmpty else {
      guard isOpen else { return 0 }
      if time.bootTime < deadline { time.advance(by: time.bootTime.duration(to: deadline)) }
      throw .timedOut
    }
    let piece = incoming.prefix(limit)
    incoming.removeFirst(piece.count)
    buffer += piece
    return piece.count
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
    if isOfCommands { incoming += retained }
  }
}

@Suite struct `Commands over MQTT` {
  private let time = ManualTime()
  private let recorded = RecordedLog()
  private static let report = #"{"command":"report"}"#

  private func publisher(_ broker: CommandBroker, _ version: ProtocolVersion) throws -> MQTTPublisher {
    var settings = MQTTPublisher.Settings(
      clientID: "p", keepAliveSeconds: 60, connection: .persistent, version: version)
    settings.commandTopics = try CommandTopics(Topic(validating: "c/t"))
    return MQTTPublisher(broker, settings, time: time, log: recorded.log())
  }

  private func publish(_ publisher: MQTTPublisher, to topic: String = "own/p") throws -> PublishReceipt {
    try publisher.publish(
      Array("{}".utf8), to: Topic(validating: topic), qos: .atLeastOnce,
      until: time.bootTime.advanced(by: .seconds(300)))
  }

  private func warnings() -> [String] { recorded.lines.filter { $0.contains("[WARN]") } }

  @Test(
    arguments: [ProtocolVersion.three, .five], ["own/p", "$aws/things/p/defender/metrics/json"])
  func `are received, acknowledged and answered`(version: ProtocolVersion, topic: String) throws {
    let broker = CommandBroker(version, time: time)
    let publisher = try publisher(broker, version)
    _ = try publish(publisher, to: topic)
    broker.send(Self.report, on: "c/t")
    #expect(publisher.takeCommands().map { String(decoding: $0, as: UTF8.self) } == [Self.report])
    #expect(publisher.takeCommands().isEmpty && !publisher.needsCaller)
    // Its PUBACK.
    #expect(broker.packets.last?.type == 4 && broker.packets.last?.body == [0, 77])
    try publisher.respond(
      Array(#"{"status":"accepted"}"#.utf8), until: time.bootTime.advanced(by: .seconds(5)))
    #expect(broker.payloads(to: "c/t/response") == [#"{"status":"accepted"}"#])
    #expect(recorded.lines.filter { $0.contains("Receiving commands on c/t. The broker decides") }.count == 1)
    #expect(broker.connections == 1 && broker.count(8) == (topic == "own/p" ? 1 : 2))
    // Over MQTT 5, it doesn't want retained messages.
    let request = try #require(broker.packets.last { $0.type == 8 }?.body)
    #expect(request.last == (version == .five ? 0x21 : 1))
  }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `arrive as direct messages even if the subscription is refused`(version: ProtocolVersion) throws {
    let broker = CommandBroker(version, time: time)
    broker.subscription = .refuse
    let publisher = try publisher(broker, version)
    #expect(try publish(publisher).attempts == 1)
    #expect(broker.connections == 1)
    let warnings = warnings()
    #expect(warnings.count == 1, "\(warnings)")
    #expect(
      warnings.first?.contains(
        "Allow iot:Subscribe on topicfilter/c/t and iot:Receive on topic/c/t in the certificate's policy")
        == true)
    #expect(warnings.first?.contains("not authorized (135)") == (version == .five))
    broker.send(Self.report, on: "c/t")
    #expect(publisher.takeCommands().count == 1)
    // It asks again after an hour, not with the next report.
    _ = try publish(publisher)
    #expect(broker.count(8) == 1)
    time.advance(by: .seconds(3_600))
    broker.subscription = .grant
    _ = try publish(publisher)
    #expect(broker.count(8) == 2)
  }

  @Test(arguments: [ProtocolVersion.three, .five], ["own/p", "$aws/things/p/defender/metrics/json"])
  func `cost three connections at most if the broker closes the connection on the subscription`(
    version: ProtocolVersion, topic: String
  ) throws {
    let broker = CommandBroker(version, time: time)
    broker.subscription = .hangUp
    let publisher = try publisher(broker, version)
    #expect(try publish(publisher, to: topic).attempts == 1)
    #expect(broker.connections == 4)
    let warnings = warnings()
    #expect(
      warnings.count == 1 && warnings.first?.contains("ended three connections in a row") == true,
      "\(warnings)")
    for _ in 0..<5 {
      time.advance(by: .seconds(300))
      _ = try publish(publisher, to: topic)
    }
    #expect(broker.connections == 4)
    broker.send(Self.report, on: "c/t")
    #expect(publisher.takeCommands().count == 1)
  }

  @Test func `name the missing permission if the first connection ends on the subscription`() throws {
    let broker = CommandBroker(.three, time: time)
    broker.subscription = .hangUp
    let publisher = try publisher(broker, .three)
    let error = #expect(throws: PublishError.self) {
      try publisher.open(for: Topic(validating: "own/p"), until: time.bootTime.advanced(by: .seconds(9)))
    }
    #expect(error?.advice.contains("Allow iot:Subscribe on topicfilter/c/t") == true)
  }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `are ignored if they are retained or on another topic`(version: ProtocolVersion) throws {
    let broker = CommandBroker(version, time: time)
    broker.retained = broker.message(Self.report, on: "c/t", flags: 0x03)
    let publisher = try publisher(broker, version)
    _ = try publish(publisher)
    broker.send(Self.report, on: "c/t/response")
    broker.send(Self.report, on: "c/T")
    broker.send("", on: "c/t")
    #expect(publisher.takeCommands().isEmpty)
    #expect(warnings().count { $0.contains("retained command") } == 1)
  }

  @Test func `are read in limited time from a broker that never stops sending, and none is left behind`()
    throws
  {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker, .five)
    _ = try publish(publisher)
    let start = time.bootTime
    broker.flood = (broker.message("{}", on: "other", flags: 0x02), start.advanced(by: .seconds(7)))
    #expect(publisher.takeCommands().isEmpty)
    #expect(start.duration(to: time.bootTime) < .seconds(6))
    // The rest may be in a buffer, which the descriptor doesn't show.
    #expect(publisher.needsCaller)
    #expect(publisher.takeCommands().isEmpty && !publisher.needsCaller)
  }

  @Test func `need neither a descriptor nor a subscription if they aren't configured`() throws {
    let broker = CommandBroker(.five, time: time)
    let settings = MQTTPublisher.Settings(clientID: "p", keepAliveSeconds: 60, connection: .persistent)
    let publisher = MQTTPublisher(broker, settings, time: time, log: recorded.log())
    _ = try publish(publisher)
    broker.send(Self.report, on: "c/t")
    #expect(broker.count(8) == 0 && publisher.descriptor == nil && publisher.takeCommands().isEmpty)
  }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `get one attempt at a response, which costs a reconnect at most`(version: ProtocolVersion) throws {
    let broker = CommandBroker(version, time: time)
    broker.response = version == .five ? .refuse : .hangUp
    let publisher = try publisher(broker, version)
    _ = try publish(publisher)
    let error = #expect(throws: PublishError.self) {
      try publisher.respond([0x7B], until: time.bootTime.advanced(by: .seconds(10)))
    }
    #expect(
      error?.advice.contains("iot:Publish on topic/c/t/response") == true, "\(String(describing: error))")
    #expect(broker.connections == 1 && publisher.isConnected == (version == .five))
    #expect(try publish(publisher).attempts == 1)
    #expect(broker.connections == (version == .five ? 1 : 2))
  }
}
