import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// A broker that silently ends the connection when it receives a packet that it doesn't allow, as AWS IoT does.
private final class StrictBroker: BrokerConnector, ByteStream {
  enum Kind: UInt8 {
    case connect = 1
    case publish = 3
    case subscribe = 8
    case ping = 12
  }

  let endpoint = "mqtts://broker:8883"
  let showsCertificate: Bool
  /// Returns whether a packet is allowed on a connection, which is numbered from 1.
  private let allows: (Kind, Int) -> Bool
  private let loss: StreamError?
  private var incoming: [UInt8] = []
  private var isOver = false
  private(set) var connections = 0
  private(set) var packets: [Kind] = []

  /// `loss` is the error with which a connection ends; nil for an orderly close.
  init(showsCertificate: Bool = false, loss: StreamError? = nil, allows: @escaping (Kind, Int) -> Bool) {
    self.showsCertificate = showsCertificate
    self.loss = loss
    self.allows = allows
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    connections += 1
    incoming = []
    isOver = false
    return self
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty {
      guard isOver else { throw .timedOut }
      if let loss { throw loss }
      return 0
    }
    let piece = incoming.prefix(limit)
    incoming.removeFirst(piece.count)
    buffer += piece
    return piece.count
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    guard let kind = Kind(rawValue: bytes[0] >> 4) else { return }
    packets.append(kind)
    guard !isOver, allows(kind, connections) else {
      isOver = true
      return
    }
    // The packet without its type and length.
    let body = Array(bytes.dropFirst().drop { $0 & 0x80 != 0 }.dropFirst())
    switch kind {
    case .connect: incoming += [0x20, 2, 0, 0]
    case .publish:
      let end = 2 + Int(body[0]) << 8 + Int(body[1])
      incoming += [0x40, 2] + body[end..<(end + 2)]
    case .subscribe: incoming += [0x90, 4] + body.prefix(2) + [1, 1]
    case .ping: incoming += [0xD0, 0]
    }
  }

  func close() {}
}

@Suite struct `Advice about a broker` {
  private let time = ManualTime()
  private let recorded = RecordedLog()

  /// Publishes one report to `broker`. Returns why that failed; nil if it succeeded.
  private func failure(_ broker: StrictBroker, topic: String = "$aws/things/p/defender/metrics/json") throws
    -> TransportFailure?
  {
    var settings = MQTTPublisher.Settings(
      clientID: "p-defender", keepAliveSeconds: 60, connection: .persistent, version: .three)
    settings.delay = ReconnectDelay()
    let publisher = MQTTPublisher(broker, settings, time: time, log: recorded.log())
    publisher.announce(reportID: 1)
    let topic = try Topic(validating: topic)
    do throws(PublishError) {
      _ = try publisher.publish(
        [1], to: topic, qos: .atLeastOnce, until: time.bootTime.advanced(by: .seconds(30)))
      return nil
    } catch {
      guard case .transport(let failure) = error.cause else { throw error }
      return failure
    }
  }

  private var warnsOfSubscription: Bool { recorded.lines.contains { $0.contains("iot:Subscribe") } }

  @Test(arguments: [nil, .lost("recv: connection reset")] as [StreamError?])
  func `blames a subscription if the connection held without it and the report was published`(
    loss: StreamError?
  ) throws {
    let broker = StrictBroker(loss: loss) { kind, _ in kind != .subscribe }
    #expect(try failure(broker) == nil)
    #expect(warnsOfSubscription)
    // The first connection ends at SUBSCRIBE, two more do after they held, and the fourth publishes.
    #expect(broker.connections == 4)
    #expect(broker.packets.filter { $0 == .subscribe }.count == 3)
    #expect(broker.packets.filter { $0 == .ping }.count == 3)
  }

  @Test(arguments: [nil, .lost("recv: connection reset")] as [StreamError?])
  func `blames no subscription if the broker ends every connection after its CONNACK`(
    loss: StreamError?
  ) throws {
    let broker = StrictBroker(loss: loss) { kind, _ in kind == .connect }
    let failure = try #require(try failure(broker))
    #expect(!warnsOfSubscription)
    #expect(!recorded.lines.contains { $0.contains("Reports are published") })
    #expect(failure.advice.contains("closed it before anything was published"), "\(failure)")
    #expect(!failure.advice.contains("iot:"))
  }

  @Test func `doesn't mention published reports if neither a subscription nor a report is allowed`() throws {
    let broker = StrictBroker { kind, _ in kind == .connect || kind == .ping }
    let failure = try #require(try failure(broker))
    #expect(!recorded.lines.contains { $0.contains("Reports are published") })
    #expect(failure.advice.contains("held until the report was sent"), "\(failure)")
    #expect(failure.advice.contains("iot:Publish on topic/$aws/things/p/defender/metrics/json"))
  }

  @Test(arguments: [1, 2])
  func `blames no permission if the network fails during a subscription`(times: Int) throws {
    let broker = StrictBroker { kind, connection in connection > times || kind != .subscribe }
    #expect(try failure(broker) == nil)
    #expect(!warnsOfSubscription)
    #expect(broker.connections == times + 1)
  }

  @Test func `blames the permission to publish if the connection held until then`() throws {
    let broker = StrictBroker { kind, _ in kind != .publish }
    let failure = try #require(try failure(broker))
    #expect(failure.advice.contains("held until the report was sent"), "\(failure)")
    #expect(!warnsOfSubscription)
  }

  @Test func `names no single cause if the first connection of a topic without answers ends`() throws {
    let broker = StrictBroker { kind, _ in kind == .connect || kind == .ping }
    // The deadline leaves no time for a second attempt, which could show more.
    let publisher = MQTTPublisher(
      broker,
      MQTTPublisher.Settings(
        clientID: "p", keepAliveSeconds: 60, connection: .persistent, version: .three),
      time: time, log: recorded.log())
    let error = #expect(throws: PublishError.self) {
      try publisher.publish(
        [1], to: Topic(validating: "own/topic"), qos: .atLeastOnce,
        until: time.bootTime.advanced(by: .milliseconds(100)))
    }
    #expect(
      error?.advice.contains("Nothing was acknowledged on this connection") == true,
      "\(String(describing: error))")
    #expect(error?.advice.contains("Another client that connects as 'p'") == true)
  }

  @Test(arguments: [true, false])
  func `mentions the certificate only if one is sent`(showsCertificate: Bool) throws {
    let broker = StrictBroker(showsCertificate: showsCertificate) { _, _ in false }
    let failure = try #require(try failure(broker))
    #expect(failure.advice.contains("iot:Connect on client/p-defender"))
    #expect(failure.advice.contains("certificate") == showsCertificate, "\(failure)")
  }

  @Test(
    arguments: [
      (1, "MQTT 5 or 3.1.1", false), (2, "DEFENDER_CLIENT_ID", false), (3, "broker is unavailable", true),
      (4, "iot:Connect", false), (5, "iot:Connect", false),
    ] as [(UInt8, String, Bool)])
  func `depends on the return code of a refusal`(code: UInt8, words: String, isTransient: Bool) throws {
    let failure = BrokerAdvice(clientID: "c", showsCertificate: false).failure(
      .refused(returnCode: code), at: .connecting, topic: "t", isPublishing: false, isUnderWay: false)
    #expect(failure.advice.contains(words))
    #expect(failure.isTransient == isTransient)
  }
}
