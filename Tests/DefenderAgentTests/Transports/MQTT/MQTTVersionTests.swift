import AWSClient
import DefenderAgent
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// Mosquitto, and publishers that connect to it.
private final class Scene {
  let broker: MosquittoBroker
  let recorded = RecordedLog()
  let time = SystemWaiter(shutdown: nil)
  let topic: Topic

  init(options: [String] = [], accessList: String? = nil) throws {
    broker = try MosquittoBroker(options: options, accessList: accessList)
    topic = try Topic(validating: "own/pump-7")
  }

  func publisher(
    at port: UInt16? = nil, _ version: ProtocolVersion = .five, keepAliveSeconds: UInt16 = 600,
    delay: ReconnectDelay = ReconnectDelay(first: .milliseconds(2), longest: .milliseconds(20))
  ) throws -> MQTTPublisher {
    let endpoint = try BrokerEndpoint("mqtt://127.0.0.1:\(port ?? broker.plainPort)", usesWebSocket: false)
    var settings = MQTTPublisher.Settings(
      clientID: "pump-7", keepAliveSeconds: keepAliveSeconds, connection: .persistent, version: version)
    settings.delay = delay
    let connector = TLSConnector(endpoint, ConnectionConfiguration(Environment([:])), time: time)
    return MQTTPublisher(connector, settings, time: time, log: recorded.log())
  }

  func publish(_ publisher: MQTTPublisher, _ size: Int = 2) throws -> PublishReceipt {
    try publisher.publish(
      [UInt8](repeating: 0x20, count: size), to: topic, qos: .atLeastOnce, until: after(.seconds(30)))
  }

  func after(_ duration: Duration) -> BootTime { time.bootTime.advanced(by: duration) }

  /// The versions of MQTT in the broker's log: 2 is 3.1.1.
  func logins() throws -> [String] {
    try broker.logText().split(separator: "\n").filter { $0.contains(" as pump-7 (p") }
      .compactMap { $0.split(separator: "(p").last.map { String($0.prefix(1)) } }
  }

  func lines(_ words: String) -> [String] { recorded.lines.filter { $0.contains(words) } }
}

@Suite(.ownThreads) struct `The version of MQTT` {
  @Test(arguments: [(ProtocolVersion.three, "2"), (.five, "5")])
  func `is the configured one, and the connection shows it`(version: ProtocolVersion, login: String) throws {
    let scene = try Scene()
    let publisher = try scene.publisher(version)
    let opened = try publisher.open(for: scene.topic, until: scene.after(.seconds(30)))
    #expect(opened.map { "\($0)" }?.hasSuffix("as 'pump-7' (\(version))") == true)
    #expect(publisher.protocolName == "\(version)")
    #expect(try scene.publish(publisher, 100_000).attempts == 1)
    #expect(try scene.logins() == [login])
  }

  @Test(arguments: [[0x20, 2, 0, 1], [0x20, 3, 0, 0x84, 0], nil] as [[UInt8]?])
  func `falls back to 3.1.1 once if the broker refuses 5, or closes the connection`(refusal: [UInt8]?) throws
  {
    let scene = try Scene()
    // The relay is a broker that refuses the first connection.
    let relay = try Relay(.forward(to: scene.broker.plainPort)) { packet in
      switch (packet.connection, packet.direction, packet.type, refusal) {
      case (1, .toServer, 1, nil): .cut
      case (1, .toClient, 2, let refusal?): .replace(refusal)
      default: .pass
      }
    }
    defer { relay.stop() }
    let publisher = try scene.publisher(at: relay.port)
    #expect(try scene.publish(publisher).attempts == 1)
    let why =
      refusal == nil ? "a connection with MQTT 5 was closed without an answer" : "the broker refused MQTT 5"
    #expect(publisher.protocolName == "MQTT 3.1.1, because \(why)")
    #expect(
      scene.lines("didn't accept MQTT 5").count == 1 && scene.lines("Connecting with MQTT 3.1.1").count == 1)
    publisher.disconnect()
    #expect(try scene.publish(publisher).attempts == 1)
    #expect(relay.connectionCount == 3)
    #expect(try scene.logins().suffix(2) == ["2", "2"])
    // SIGHUP, and a restart, begin with 5 again.
    publisher.renew()
    _ = try scene.publish(publisher)
    #expect(try scene.logins().last == "5")
  }

  @Test func `stays 5 if a connection is lost after the broker has accepted one`() throws {
    let scene = try Scene()
    let relay = try Relay(.forward(to: scene.broker.plainPort)) { packet in
      packet.connection == 2 && packet.direction == .toServer ? .cut : .pass
    }
    defer { relay.stop() }
    let publisher = try scene.publisher(at: relay.port)
    _ = try scene.publish(publisher)
    publisher.disconnect()
    _ = try scene.publish(publisher)
    #expect(relay.connectionCount == 3)
    #expect(try scene.logins() == ["5", "5"])
  }

  @Test func `alternates, without additional connections, while every connection is closed`() throws {
    let scene = try Scene()
    let relay = try Relay(.forward(to: scene.broker.plainPort)) { _ in .cut }
    defer { relay.stop() }
    let publisher = try scene.publisher(
      at: relay.port, delay: ReconnectDelay(first: .milliseconds(1), longest: .milliseconds(1)))
    for _ in 1...5 {
      #expect(throws: TransportFailure.self) {
        try publisher.connect(for: scene.topic, until: scene.after(.seconds(30)))
      }
    }
    // One for each attempt, and the first one's fallback.
    #expect(relay.connectionCount == 6)
    #expect(scene.lines("didn't accept").count == 1)
  }

  @Test func `doesn't change if 3.1.1 is configured`() throws {
    let scene = try Scene()
    let relay = try Relay(.forward(to: scene.broker.plainPort)) { packet in
      packet.direction == .toClient && packet.type == 2 ? .replace([0x20, 2, 0, 1]) : .pass
    }
    defer { relay.stop() }
    let publisher = try scene.publisher(at: relay.port, .three)
    let error = #expect(throws: PublishError.self) { try scene.publish(publisher) }
    #expect(error?.reason.contains("return code 1") == true && relay.connectionCount == 1)
    #expect(error?.advice.contains("MQTT 5 or 3.1.1") == true)
  }
}

@Suite(.ownThreads) struct `Mosquitto over MQTT 5` {
  @Test func `refuses a message, and the error says why`() throws {
    let scene = try Scene(accessList: "topic readwrite other/#\n")
    let publisher = try scene.publisher()
    let error = try #require(#expect(throws: PublishError.self) { try scene.publish(publisher) })
    #expect(error.reason == "MQTT: the server refused the message: not authorized (135)")
    #expect(error.advice == "The policy of the role or user lacks iot:Publish on topic/own/pump-7.")
    // The connection stays open, and the message isn't sent again.
    #expect(error.attempts == 1 && publisher.isConnected)
    let other = try Topic(validating: "other/pump-7")
    _ = try publisher.publish([1], to: other, qos: .atLeastOnce, until: scene.after(.seconds(30)))
    #expect(try scene.logins() == ["5"])
  }

  @Test func `limits the size of packets, and the error names both sizes`() throws {
    let scene = try Scene(options: ["max_packet_size 2000"])
    let publisher = try scene.publisher()
    let error = try #require(#expect(throws: PublishError.self) { try scene.publish(publisher, 3_000) })
    #expect(error.reason.hasSuffix("bytes, but the server accepts at most 2000"), "\(error)")
    #expect(error.advice.contains("DEFENDER_MAX_REPORT_BYTES"))
    let largest = try #require(publisher.largestPayload(on: scene.topic))
    #expect(try scene.publish(publisher, largest).attempts == 1)
    #expect((1_900..<2_000).contains(largest))
  }

  @Test func `gets reports with shorter lists if it limits the size of packets`() throws {
    let scene = try Scene(options: ["max_packet_size 2000"])
    let directory = try TemporaryDirectory()
    let header =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    var sockets = header
    for index in 0..<300 {
      let port = String(0x1000 + index, radix: 16, uppercase: true)
      sockets +=
        "   \(index): 0100007F:\(port) 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 \(index)\n"
    }
    try directory.write("net/tcp", sockets)
    for name in ["tcp6", "udp", "udp6"] { try directory.write("net/\(name)", header) }
    let configuration = try Configuration(
      Environment([
        "AWS_IOT_THING_NAME": "pump-7", "PROCFS_PATH": directory.path, "DEFENDER_TRANSPORT": "mqtt",
        "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(scene.broker.plainPort)",
        "DEFENDER_TOPIC": "own/pump-7",
        "DEFENDER_MAX_LIST_SIZE": "300",
      ]))
    let log = scene.recorded.log()
    let publisher = try configuration.publisher(time: scene.time, log: log)
    var loop = ReportLoop(configuration, publisher: publisher, time: scene.time, log: log)
    for _ in 1...2 {
      let outcome = try loop.run(ReportPlan(reports: 1), until: scene.after(.seconds(60)))
      #expect(outcome.published == 1, "\(scene.recorded.lines)")
    }
    let sizes = scene.lines("Published report").compactMap { line in
      line.split(separator: " bytes, to ").first?.split(separator: " ").last.flatMap { Int($0) }
    }
    #expect(sizes.count == 2 && sizes.allSatisfy { (1_000..<2_000).contains($0) }, "\(sizes)")
  }

  @Test func `chooses the keep-alive interval`() throws {
    let scene = try Scene(options: ["max_keepalive 30"])
    let publisher = try scene.publisher()
    _ = try scene.publish(publisher)
    let next = try #require(publisher.nextDue)
    #expect(next <= scene.after(.seconds(30)))
  }
}
