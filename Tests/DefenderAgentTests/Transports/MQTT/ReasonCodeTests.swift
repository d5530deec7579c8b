import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// A broker over MQTT 5 that answers each packet with what the test sets.
private final class ScriptedBroker5: BrokerConnector, ByteStream {
  let endpoint = "mqtts://broker:8883"
  let showsCertificate = true
  private let time: ManualTime
  private var incoming: [UInt8] = []
  private(set) var connections = 0
  private(set) var packets: [[UInt8]] = []
  /// The CONNACK after its length.
  var connectAnswer: [UInt8] = [0, 0, 0]
  /// What follows the packet identifier in a PUBACK and a SUBACK.
  var publishAnswer: [UInt8] = []
  var subscribeAnswer: [UInt8] = [0, 1, 1]
  /// A DISCONNECT that answers packets of the type `at` instead.
  var disconnect: (at: UInt8, body: [UInt8])?

  init(time: ManualTime) { self.time = time }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    connections += 1
    incoming = []
    return self
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    try take(&incoming, into: &buffer, limit: limit, at: time, until: deadline)
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    packets.append(bytes)
    let type = bytes[0] >> 4
    let body = Array(bytes.dropFirst().drop { $0 & 0x80 != 0 }.dropFirst())
    if let disconnect, disconnect.at == type { return send(0xE0, disconnect.body) }
    switch type {
    case 1: send(0x20, connectAnswer)
    case 3:
      let end = 2 + Int(body[0]) << 8 + Int(body[1])
      send(0x40, Array(body[end..<(end + 2)]) + publishAnswer)
    case 8: send(0x90, Array(body.prefix(2)) + subscribeAnswer)
    case 12: send(0xD0, [])
    default: break
    }
  }

  func close() {}

  private func send(_ first: UInt8, _ body: [UInt8]) { incoming += [first, UInt8(body.count)] + body }
}

private let failures = Array(UInt8(0x80)...0xA2)

@Suite struct `Each reason code of MQTT 5` {
  private let time = ManualTime()
  private let broker: ScriptedBroker5
  private let recorded = RecordedLog()

  init() { broker = ScriptedBroker5(time: time) }

  private func publisher() -> MQTTPublisher {
    var settings = MQTTPublisher.Settings(clientID: "p", keepAliveSeconds: 60, connection: .persistent)
    settings.reportExpirySeconds = 300
    return MQTTPublisher(broker, settings, time: time, log: recorded.log())
  }

  private func publish(
    _ publisher: MQTTPublisher, to topic: String = "own/p", _ payload: String = "{}"
  ) throws -> PublishReceipt {
    try publisher.publish(
      Array(payload.utf8), to: Topic(validating: topic), qos: .atLeastOnce,
      until: time.bootTime.advanced(by: .seconds(300)))
  }

  /// Returns the error of a publish.
  private func error(_ publisher: MQTTPublisher) throws -> PublishError {
    try #require(#expect(throws: PublishError.self) { try publish(publisher) })
  }

  /// The codes after which the agent doesn't connect again for the same message.
  private static let permanent: Set<UInt8> = [
    0x81, 0x82, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x9B, 0x9C, 0x9D,
  ]

  @Test(arguments: failures)
  func `in a CONNACK is one clear error`(code: UInt8) throws {
    broker.connectAnswer = [0, code, 5, 0x1F, 0, 2] + Array("no".utf8)
    let error = try error(publisher())
    let reason = "MQTT: the server refused the connection: \(ReasonCode(rawValue: code)): no"
    #expect(error.reason == reason && error.advice.hasSuffix("."), "\(error)")
    switch code {
    // The version: one connection of each, and the broker refuses both.
    case 0x84: #expect(broker.connections == 2)
    // No message was sent, so attempts to connect are limited by the deadline only.
    case _ where !Self.permanent.contains(code): #expect(broker.connections > 4)
    default: #expect(broker.connections == 1)
    }
    if code == 0x87 { #expect(error.advice == "The certificate's policy lacks iot:Connect on client/p.") }
  }

  @Test(arguments: failures)
  func `in a PUBACK is one clear error, and the connection stays open`(code: UInt8) throws {
    let publisher = publisher()
    broker.publishAnswer = [code, 5, 0x1F, 0, 2] + Array("no".utf8)
    let error = try error(publisher)
    #expect(error.reason == "MQTT: the server refused the message: \(ReasonCode(rawValue: code)): no")
    #expect(error.attempts == 1 && publisher.isConnected && error.advice.hasSuffix("."), "\(error)")
    #expect(error.isThrottling == [0x96, 0x97, 0x9F].contains(code))
    if code == 0x87 { #expect(error.advice == "The certificate's policy lacks iot:Publish on topic/own/p.") }
    broker.publishAnswer = [0x10, 0]
    #expect(try publish(publisher).attempts == 1)
    #expect(broker.connections == 1)
  }

  @Test(arguments: failures)
  func `in a SUBACK is a warning, and the report is published`(code: UInt8) throws {
    broker.subscribeAnswer = [0, 1, code]
    let topic = "$aws/things/p/defender/metrics/json"
    #expect(try publish(publisher(), to: topic).attempts == 1)
    let warnings = recorded.lines.filter { $0.contains("[WARN]") }
    let words = "rejected the subscription to '\(topic)/rejected': \(ReasonCode(rawValue: code))."
    #expect(warnings.count == 1 && warnings.first?.contains(words) == true, "\(warnings)")
  }

  @Test(arguments: failures)
  func `in a DISCONNECT is one clear error, and the next report connects again`(code: UInt8) throws {
    let publisher = publisher()
    broker.disconnect = (3, [code, 5, 0x1F, 0, 2] + Array("no".utf8))
    let error = try error(publisher)
    #expect(error.reason == "MQTT: the server ended the connection: \(ReasonCode(rawValue: code)): no")
    let isFinal = Self.permanent.contains(code) || [0x84, 0x96, 0x97, 0x9F].contains(code)
    #expect(error.attempts == (isFinal ? 1 : 4), "\(error)")
    #expect(!publisher.isConnected && broker.connections == error.attempts)
    if code == 0x87 { #expect(error.advice == "The certificate's policy lacks iot:Publish on topic/own/p.") }
    if code == 0x8E { #expect(error.advice.contains("Another client connects as 'p'")) }
    broker.disconnect = nil
    #expect(try publish(publisher).attempts == 1)
  }

  @Test(
    arguments: [
      (0x98, "administrative action (152). Look for the reason in the broker's log."),
      (0x8E, "session taken over (142). Another client connects as 'p'. Choose another DEFENDER_CLIENT_ID."),
    ] as [(UInt8, String)])
  func `in a DISCONNECT between reports is logged once, with advice`(code: UInt8, words: String) throws {
    let publisher = publisher()
    _ = try publish(publisher)
    broker.disconnect = (12, [code])
    time.advance(by: .seconds(60))
    publisher.run(until: time.bootTime.advanced(by: .seconds(5)))
    time.advance(by: .seconds(60))
    publisher.run(until: time.bootTime.advanced(by: .seconds(5)))
    #expect(!publisher.isConnected)
    #expect(recorded.lines.filter { $0.contains(words) }.count == 1, "\(recorded.lines)")
  }

  @Test func `ends subscriptions for an hour if the policy doesn't allow them`() throws {
    let publisher = publisher()
    broker.disconnect = (8, [0x87])
    #expect(try publish(publisher, to: "$aws/things/p/defender/metrics/json").attempts == 1)
    #expect(broker.connections == 2)
    #expect(recorded.lines.filter { $0.contains("[WARN]") && $0.contains("not authorized (135)") }.count == 1)
  }

  @Test(
    arguments: [
      ([0, 0, 3, 0x21, 0, 0], "the receive maximum is 0"),
      ([0, 0, 6, 0x21, 0, 1, 0x21, 0, 1], "the receive maximum is repeated"),
      ([0, 0, 1, 0x21], "it ends before the receive maximum"), ([0, 0, 9], "it ends inside the properties"),
      ([0, 0], "it ends before the length of the properties"), ([0, 0, 0, 0], "1 unexpected bytes"),
    ] as [([UInt8], String)])
  func `isn't needed to explain a malformed CONNACK`(answer: [UInt8], words: String) throws {
    broker.connectAnswer = answer
    let error = try error(publisher())
    #expect(error.reason.hasPrefix("MQTT: the server sent a malformed packet: CONNACK: \(words)"))
    #expect(broker.connections == 1)
    broker.connectAnswer = [0, 0, 0]
    #expect(try publish(publisher()).attempts == 1)
  }

  @Test func `has no message without properties: a report has an expiry, a type and its id`() throws {
    let publisher = publisher()
    let topic = "$aws/things/p/defender/metrics/json"
    publisher.announce(reportID: 77)
    _ = try publish(publisher, to: topic)
    _ = try publish(publisher, to: topic, "\u{7F}")
    let messages = broker.packets.filter { $0[0] >> 4 == 3 }
    let properties =
      [2, 0, 0, 1, 0x2C, 3, 0, 16] + Array("application/json".utf8) + [0x26, 0, 9] + Array("report-id".utf8)
      + [0, 2] + Array("77".utf8)
    let name = [0, UInt8(topic.utf8.count)] + Array(topic.utf8)
    let report = properties + Array("{}".utf8)
    // The subscription took the packet identifier 1.
    #expect(
      messages.first?.dropFirst(2).elementsEqual(name + [0, 2, UInt8(properties.count)] + report) == true)
    // The message after it isn't a report, and nothing is known of its payload.
    #expect(messages.last?.dropFirst(2).elementsEqual(name + [0, 3, 0, 0x7F]) == true)
  }

  @Test func `has no report to another topic: it doesn't expire`() throws {
    let publisher = publisher()
    publisher.announce(reportID: 77)
    _ = try publish(publisher)
    let message = try #require(broker.packets.first { $0[0] >> 4 == 3 })
    // A content type of 16 bytes comes first.
    let start: [UInt8] = [0, 5] + Array("own/p".utf8) + [0, 1, 35, 3, 0, 16]
    #expect(message.dropFirst(2).starts(with: start), "\(message)")
  }

  @Test(arguments: failures.filter { $0 != 0x87 })
  func `in a DISCONNECT after a SUBSCRIBE stops the answers, and not the reports`(code: UInt8) throws {
    let publisher = publisher()
    broker.disconnect = (8, [code, 0])
    let topic = "$aws/things/p/defender/metrics/json"
    for _ in 0..<4 { _ = try? publish(publisher, to: topic) }
    let isPublished = broker.packets.contains { $0[0] >> 4 == 3 }
    #expect(isPublished != ReasonCode(rawValue: code).isOfServer, "\(recorded.lines)")
    #expect(
      recorded.lines.count { $0.contains("[WARN]") && $0.contains("request to subscribe") }
        == (isPublished ? 1 : 0))
  }

  @Test func `leaves no connection of per-report open`() throws {
    var settings = MQTTPublisher.Settings(clientID: "p", keepAliveSeconds: 60, connection: .perReport)
    settings.reportExpirySeconds = 300
    let publisher = MQTTPublisher(broker, settings, time: time, log: recorded.log())
    broker.publishAnswer = [0x87, 0]
    _ = try error(publisher)
    #expect(!publisher.isConnected)
  }

  @Test func `has no report whose lists were shortened: it still has its id`() throws {
    // The broker accepts packets of 600 bytes.
    broker.connectAnswer = [0, 0, 5, 0x27, 0, 0, 2, 0x58]
    let directory = try TemporaryDirectory()
    let header = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    let rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0"
    let sockets = (0..<90).map { "   \($0): 0100007F:\(1_000 + $0) \(rest) \($0)\n" }
    try directory.write("net/tcp", header + sockets.joined())
    for name in ["tcp6", "udp", "udp6"] { try directory.write("net/\(name)", header) }
    let configuration = try Configuration(
      Environment([
        "AWS_IOT_THING_NAME": "p", "PROCFS_PATH": directory.path, "DEFENDER_TRANSPORT": "mqtt",
        "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1", "DEFENDER_TOPIC": "own/p",
      ]))
    var loop = ReportLoop(configuration, publisher: publisher(), time: time, log: recorded.log())
    let outcome = try loop.run(ReportPlan(reports: 1), until: time.bootTime.advanced(by: .seconds(600)))
    let messages = broker.packets.filter { $0[0] >> 4 == 3 }
    #expect(outcome.published == 1 && messages.count == 1, "\(recorded.lines)")
    let id = try #require(outcome.lastReportID)
    let message = try #require(messages.first)
    let property = Array("report-id".utf8) + [0, UInt8("\(id)".utf8.count)] + Array("\(id)".utf8)
    #expect(message.count <= 600 && message.count > 400)
    #expect(message.indices.contains { message[$0...].starts(with: property) })
  }
}
