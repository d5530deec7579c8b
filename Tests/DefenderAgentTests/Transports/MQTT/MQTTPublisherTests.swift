import AWSClient
import DefenderAgent
import HTTPClient
import MQTT
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// A broker, a Device Defender behind it, and a publisher.
private final class Scene {
  let broker: MosquittoBroker
  let responder: DeviceDefenderResponder
  let recorded = RecordedLog()
  let time = SystemWaiter(shutdown: nil)
  private let version: ProtocolVersion

  init(_ version: ProtocolVersion = .five) throws {
    self.version = version
    broker = try MosquittoBroker()
    responder = try DeviceDefenderResponder(port: broker.plainPort)
  }

  deinit { responder.stop() }

  func settings(
    _ connection: ConnectionMode = .persistent, delay: ReconnectDelay? = nil
  ) -> MQTTPublisher.Settings {
    var settings = MQTTPublisher.Settings(
      clientID: "pump-7", keepAliveSeconds: 60, connection: connection, version: version)
    settings.delay = delay ?? ReconnectDelay(first: .milliseconds(2), longest: .milliseconds(20))
    return settings
  }

  func configuration(_ variables: [String: String] = [:]) -> ConnectionConfiguration {
    ConnectionConfiguration(
      Environment(["AWS_CA_BUNDLE": broker.authority.certificateFile].merging(variables) { $1 }))
  }

  func publisher(
    at endpoint: String, _ configuration: ConnectionConfiguration? = nil,
    connection: ConnectionMode = .persistent, delay: ReconnectDelay? = nil
  ) throws -> MQTTPublisher {
    let connector = TLSConnector(
      try BrokerEndpoint(endpoint, usesWebSocket: false), configuration ?? self.configuration(), time: time)
    return MQTTPublisher(connector, settings(connection, delay: delay), time: time, log: recorded.log())
  }

  func webSocketPublisher(
    at endpoint: String, _ configuration: ConnectionConfiguration? = nil
  ) throws -> MQTTPublisher {
    let connector = try WebSocketConnector(
      try BrokerEndpoint(endpoint, usesWebSocket: true), configuration ?? self.configuration(),
      region: "eu-central-1",
      credentials: EnvironmentCredentials(
        Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"])),
      time: time, log: recorded.log())
    return MQTTPublisher(connector, settings(), time: time, log: recorded.log())
  }

  func after(_ duration: Duration) -> BootTime { time.bootTime.advanced(by: duration) }

  func identity() -> ClientIdentity {
    ClientIdentity(certificateFile: broker.device.certificateFile, keyFile: broker.device.keyFile)
  }
}

private func topic(_ format: String = "json") throws -> Topic {
  try Topic(validating: "$aws/things/pump-7/defender/metrics/\(format)")
}

/// Returns a report with the id `id`, padded to about `size` bytes.
private func report(_ id: Int, size: Int = 0) -> [UInt8] {
  let padding = String(repeating: " ", count: size)
  return Array("{\"header\":{\"report_id\":\(id),\"version\":\"1.0\"},\"metrics\":{}\(padding)}".utf8)
}

extension MQTTPublisher {
  /// Publishes a report and waits for Device Defender's answer.
  fileprivate func publish(_ payload: [UInt8], id: UInt64, in scene: Scene) throws -> ReportConfirmation? {
    announce(reportID: id)
    _ = try publish(payload, to: topic(), qos: .atLeastOnce, until: scene.after(.seconds(20)))
    return confirmation(of: id, until: scene.after(.seconds(10)))
  }
}

@Suite(.ownThreads) struct `Publishing over MQTT` {
  @Test(arguments: ProtocolVersion.allCases)
  func `publishes over mutual TLS, and reports acceptance and rejection`(version: ProtocolVersion) throws {
    let scene = try Scene(version)
    var configuration = scene.configuration()
    configuration.identity = scene.identity()
    let publisher = try scene.publisher(at: "localhost:\(scene.broker.tlsPort)", configuration)
    #expect(try publisher.publish(report(1), id: 1, in: scene) == .accepted)
    #expect(try publisher.publish(report(2, size: 100_000), id: 2, in: scene) == .accepted)
    let rejection = ReportConfirmation.rejected(code: "InvalidPayload", message: "Malformed metrics report")
    #expect(
      try publisher.publish(Array("{\"header\":{\"report_id\":3}}".utf8), id: 3, in: scene) == rejection)
    #expect(scene.responder.reports.map(\.id) == [1, 2, 3])
    // One connection served all three.
    #expect(scene.recorded.lines.filter { $0.contains("connection 1.") }.count == 1)
    #expect(!scene.recorded.lines.contains { $0.contains("connection 2.") })
  }

  @Test(arguments: ProtocolVersion.allCases)
  func `reads the answer to a CBOR report, which is CBOR`(version: ProtocolVersion) throws {
    let scene = try Scene(version)
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    var document = CBORWriter()
    document.beginMap(count: 2)
    document.key("hed")
    document.beginMap(count: 2)
    document.member("rid", 9)
    document.member("v", "1.0")
    document.endMap()
    document.key("met")
    document.beginMap(count: 0)
    document.endMap()
    document.endMap()
    publisher.announce(reportID: 9)
    _ = try publisher.publish(
      document.bytes, to: topic("cbor"), qos: .atLeastOnce, until: scene.after(.seconds(10)))
    #expect(publisher.confirmation(of: 9, until: scene.after(.seconds(10))) == .accepted)
  }

  @Test(arguments: ProtocolVersion.allCases)
  func `publishes over a signed WebSocket, also through a proxy`(version: ProtocolVersion) throws {
    let scene = try Scene(version)
    let proxy = try Relay(.proxy)
    defer { proxy.stop() }
    let port = scene.broker.webSocketPort
    let direct = try scene.webSocketPublisher(at: "localhost:\(port)")
    #expect(try direct.publish(report(1), id: 1, in: scene) == .accepted)
    #expect(try direct.publish(report(2, size: 60_000), id: 2, in: scene) == .accepted)
    let configuration = scene.configuration(["HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)"])
    let throughProxy = try scene.webSocketPublisher(at: "localhost:\(port)", configuration)
    #expect(try throughProxy.publish(report(3), id: 3, in: scene) == .accepted)
    #expect(proxy.tunnels == ["localhost:\(port)"])
  }

  @Test func `connects a device through a proxy, too`() throws {
    let scene = try Scene()
    let proxy = try Relay(.proxy)
    defer { proxy.stop() }
    var configuration = scene.configuration(["HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)"])
    configuration.identity = scene.identity()
    let publisher = try scene.publisher(at: "localhost:\(scene.broker.tlsPort)", configuration)
    #expect(try publisher.publish(report(1), id: 1, in: scene) == .accepted)
    #expect(proxy.tunnels == ["localhost:\(scene.broker.tlsPort)"])
  }

  @Test(arguments: ProtocolVersion.allCases)
  func `closes a connection that serves one report`(version: ProtocolVersion) throws {
    let scene = try Scene(version)
    let relay = try Relay(.forward(to: scene.broker.plainPort))
    defer { relay.stop() }
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(relay.port)", connection: .perReport)
    for id in 1...3 {
      #expect(try publisher.publish(report(id), id: UInt64(id), in: scene) == .accepted)
      #expect(publisher.nextDue == nil)
    }
    #expect(relay.connectionCount == 3)
  }

  @Test(arguments: [
    ("Throttled", true), ("ThrottlingException", true), ("InvalidPayload", false), ("", false),
  ])
  func `recognizes throttling in a rejection`(code: String, isThrottling: Bool) {
    #expect(ReportConfirmation.rejected(code: code, message: "Throttled").isThrottling == isThrottling)
    #expect(!ReportConfirmation.accepted.isThrottling && !ReportConfirmation.unanswered.isThrottling)
  }

  @Test func `reports that no answer arrived`() throws {
    let scene = try Scene()
    scene.responder.setAnswering(false)
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    publisher.announce(reportID: 1)
    _ = try publisher.publish(report(1), to: topic(), qos: .atLeastOnce, until: scene.after(.seconds(10)))
    #expect(publisher.confirmation(of: 1, until: scene.after(.milliseconds(50))) == .unanswered)
  }

  @Test func `expects no answers on a custom topic`() throws {
    let scene = try Scene()
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    let own = try Topic(validating: "defender/pump-7/json")
    _ = try publisher.publish(report(1), to: own, qos: .atLeastOnce, until: scene.after(.seconds(10)))
    #expect(publisher.confirmation(of: 1, until: scene.after(.seconds(10))) == nil)
  }

  @Test func `reconnects after a restart of the broker, without a failed report`() throws {
    let scene = try Scene()
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    let own = try Topic(validating: "defender/pump-7/json")
    _ = try publisher.publish(report(1), to: own, qos: .atLeastOnce, until: scene.after(.seconds(10)))
    scene.broker.stop()
    try scene.broker.startAgain()
    let receipt = try publisher.publish(
      report(2), to: own, qos: .atLeastOnce, until: scene.after(.seconds(10)))
    #expect(receipt.attempts == 1)
    #expect(scene.recorded.lines.contains { $0.contains("Lost the connection") })
  }

  @Test(
    arguments: [
      ("localhost:8884", "no connection", true),
      // A label of 64 characters isn't a valid name. So libcurl doesn't query a name server, which might take too long.
      ("\(String(repeating: "a", count: 64)).invalid", "can't resolve the host name", true),
    ])
  func `gives up at the deadline, and reports why`(endpoint: String, reason: String, isTransient: Bool) throws
  {
    let scene = try Scene()
    let publisher = try scene.publisher(at: endpoint)
    let deadline = scene.after(.milliseconds(300))
    #expect {
      try publisher.publish(report(1), to: topic(), qos: .atLeastOnce, until: deadline)
    } throws: { error in
      guard let error = error as? PublishError, case .transport(let failure) = error.cause else {
        return false
      }
      return failure.reason.contains(reason) && error.attempts == 0
    }
    // A single step may take up to ten seconds.
    #expect(deadline.duration(to: scene.time.bootTime) < .seconds(8))
  }

  @Test func `reports that the broker requires a certificate`() throws {
    let scene = try Scene()
    // The delay leaves no time for a second attempt, and a busy machine has enough time for the first one.
    let delay = ReconnectDelay(first: .seconds(60), longest: .seconds(60))
    let publisher = try scene.publisher(at: "localhost:\(scene.broker.tlsPort)", delay: delay)
    #expect {
      try publisher.publish(report(1), to: topic(), qos: .atLeastOnce, until: scene.after(.seconds(20)))
    } throws: { error in
      guard let error = error as? PublishError else { return false }
      return error.advice.contains("certificate")
    }
  }

  @Test func `displaces another agent with the same client id, once per report`() throws {
    let scene = try Scene()
    let relays = try [0, 1].map { _ in try Relay(.forward(to: scene.broker.plainPort)) }
    defer { for relay in relays { relay.stop() } }
    let publishers = try relays.map { try scene.publisher(at: "mqtt://127.0.0.1:\($0.port)") }
    for round in 0..<3 {
      for (index, publisher) in publishers.enumerated() {
        let id = 10 * round + index + 1
        #expect(try publisher.publish(report(id), id: UInt64(id), in: scene) == .accepted)
      }
    }
    // One connection for each report, and one more if the publisher noticed the end of the last connection too late.
    #expect(relays.allSatisfy { (3...6).contains($0.connectionCount) })
  }

  @Test func `keeps publishing if it may not receive answers, and subscribes again after an hour`() throws {
    let scene = try Scene()
    let isAllowed = Mutex(false)
    // AWS IoT closes the connection of a client that isn't allowed to subscribe.
    let relay = try Relay(.forward(to: scene.broker.plainPort)) { packet in
      packet.direction == .toServer && packet.type == 8 && !isAllowed.withLock { $0 } ? .cut : .pass
    }
    defer { relay.stop() }
    let time = ManualTime()
    time.bootTime = .now
    let connector = TLSConnector(
      try BrokerEndpoint("mqtt://127.0.0.1:\(relay.port)", usesWebSocket: false), scene.configuration(),
      time: time)
    let publisher = MQTTPublisher(connector, scene.settings(), time: time, log: scene.recorded.log())
    func publish(_ id: UInt64) throws -> ReportConfirmation? {
      let end = time.bootTime.advanced(by: .seconds(60))
      publisher.announce(reportID: id)
      _ = try publisher.publish(report(Int(id)), to: topic(), qos: .atLeastOnce, until: end)
      return publisher.confirmation(of: id, until: end)
    }
    let refused = ReportConfirmation.unavailable(reason: "the broker rejected the subscription")
    #expect(try publish(1) == refused)
    #expect(try publish(2) == refused)
    #expect(relay.connectionCount == 4)
    #expect(scene.recorded.lines.filter { $0.contains("[WARN]") && $0.contains("iot:Subscribe") }.count == 1)
    isAllowed.withLock { $0 = true }
    #expect(try publish(3) == refused)
    time.advance(by: .seconds(3_600))
    #expect(try publish(4) == .accepted)
    #expect(relay.connectionCount == 4)
  }

  @Test func `rejects a payload that AWS IoT doesn't accept`() throws {
    let scene = try Scene()
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    #expect {
      try publisher.publish(
        [UInt8](repeating: 0, count: 131_073), to: topic(), qos: .atLeastOnce, until: scene.after(.seconds(1))
      )
    } throws: { error in
      (error as? PublishError)?.cause == .payloadTooLarge(bytes: 131_073, limit: 131_072)
    }
  }

  @Test func `reports a connection that ends between two reports, once, with the reason`() throws {
    let scene = try Scene()
    let publisher = try scene.publisher(at: "mqtt://127.0.0.1:\(scene.broker.plainPort)")
    var reasons: [String] = []
    publisher.whenLost = { reasons.append($0) }
    _ = try publisher.open(for: topic(), until: scene.after(.seconds(20)))
    publisher.run(until: scene.after(.seconds(20)))
    #expect(reasons.isEmpty && publisher.isConnected)
    scene.broker.stop()
    let limit = scene.after(.seconds(20))
    while publisher.isConnected, scene.time.bootTime < limit { publisher.run(until: limit) }
    // Without a connection there is nothing to lose.
    publisher.run(until: limit)
    #expect(!publisher.isConnected && reasons.count == 1)
    let start = "the connection to mqtt://127.0.0.1:\(scene.broker.plainPort) ended between reports: "
    #expect(reasons.first?.hasPrefix(start) == true && reasons.first != start, "\(reasons)")
  }
}
