import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

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
    broker.afterSubscription = broker.message(Self.report, on: "c/t", flags: 0x03)
    let publisher = try publisher(broker, version)
    _ = try publish(publisher)
    broker.send(Self.report, on: "c/t/response")
    broker.send(Self.report, on: "c/T")
    broker.send("", on: "c/t")
    #expect(publisher.takeCommands().isEmpty)
    #expect(warnings().count { $0.contains("retained command") } == 1)
  }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `are handled at once if they arrive together with the SUBACK`(version: ProtocolVersion) throws {
    let broker = CommandBroker(version, time: time)
    broker.afterSubscription = broker.message(Self.report, on: "c/t", flags: 0x02)
    let publisher = try publisher(broker, version)
    _ = try publisher.open(for: Topic(validating: "own/p"), until: time.bootTime.advanced(by: .seconds(9)))
    let start = time.bootTime
    // No descriptor shows the command.
    let wake = TaskRunningWaiter(time, running: [publisher]).wait(until: start.advanced(by: .seconds(3_600)))
    #expect(wake == .message && time.bootTime == start)
    #expect(publisher.takeCommands().map { String(decoding: $0, as: UTF8.self) } == [Self.report])
  }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `are read to the end at once if they are larger than one read`(version: ProtocolVersion) throws {
    let broker = CommandBroker(version, time: time)
    let publisher = try publisher(broker, version)
    _ = try publish(publisher)
    _ = publisher.takeCommands()
    broker.send(String(repeating: " ", count: 12_000), on: "c/t")
    let commands = publisher.takeCommands()
    #expect(commands.map(\.count) == [Command.maximumBytes + 1])
    #expect(broker.packets.last?.body == [0, 77] && !publisher.needsCaller)
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
