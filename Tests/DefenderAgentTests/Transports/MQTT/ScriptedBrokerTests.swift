import AWSClient
import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// A broker that records the packets it receives, and sends what the test sets.
private final class ScriptedBroker: BrokerConnector, ByteStream {
  let endpoint = "mqtts://broker:8883"
  let time: ManualTime
  /// The bytes that the client hasn't read yet.
  var incoming: [UInt8] = []
  /// The type of each received packet, and the deadline of its write.
  private(set) var packets: [(type: UInt8, deadline: BootTime)] = []
  /// Device Defender's answers to the reports in turn. Each follows the report's acknowledgement.
  var answers: [[UInt8]] = []
  /// The bytes that follow the acknowledgement of a subscription.
  var retained: [UInt8] = []
  /// Whether it acknowledges reports.
  var acknowledges = true
  /// A message that the broker repeats every millisecond until `end`; nil if there is none.
  var flood: (message: [UInt8], end: BootTime)?

  init(time: ManualTime) {
    self.time = time
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream { self }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty, let flood, time.bootTime < flood.end {
      time.advance(by: .milliseconds(1))
      incoming = flood.message
    }
    return try take(&incoming, into: &buffer, limit: limit, at: time, until: deadline)
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    let type = bytes[0] >> 4
    packets.append((type, deadline))
    switch type {
    case 1: incoming += [0x20, 2, 0, 0]
    case 8: incoming += [0x90, 4] + subscriptionID(bytes) + [1, 1] + retained
    case 3:
      if acknowledges { incoming += [0x40, 2] + publicationID(bytes) }
      if !answers.isEmpty { incoming += answers.removeFirst() }
    default: break
    }
  }

  func close() {}

  private func subscriptionID(_ bytes: [UInt8]) -> [UInt8] { Array(body(bytes).prefix(2)) }

  private func publicationID(_ bytes: [UInt8]) -> [UInt8] {
    let body = body(bytes)
    let topicLength = Int(body[0]) << 8 | Int(body[1])
    return Array(body[(2 + topicLength)..<(4 + topicLength)])
  }

  /// Returns a packet without its type and length.
  private func body(_ bytes: [UInt8]) -> [UInt8] {
    Array(bytes.dropFirst().drop { $0 & 0x80 != 0 }.dropFirst())
  }
}

/// Returns a message with quality of service 0 on an answer topic.
private func answer(_ verdict: String, _ payload: String) -> [UInt8] {
  let topic = Array("\(reportTopic)/\(verdict)".utf8)
  let body = [0, UInt8(topic.count)] + topic + Array(payload.utf8)
  return [0x30, UInt8(body.count & 0x7F) | 0x80, UInt8(body.count >> 7)] + body
}

private let reportTopic = "$aws/things/pump-7/defender/metrics/json"

@Suite struct `A publisher to a scripted broker` {
  private let time = ManualTime()
  private let broker: ScriptedBroker

  init() { broker = ScriptedBroker(time: time) }

  private func publisher(_ mode: ConnectionMode = .persistent) -> MQTTPublisher {
    let settings = MQTTPublisher.Settings(
      clientID: "pump-7", keepAliveSeconds: 60, connection: mode, version: .three)
    return MQTTPublisher(broker, settings, time: time, log: RecordedLog().log())
  }

  private func publish(
    _ id: UInt64, with publisher: MQTTPublisher, within duration: Duration = .seconds(20)
  ) throws -> ReportConfirmation? {
    let deadline = time.bootTime.advanced(by: duration)
    publisher.announce(reportID: id)
    _ = try publisher.publish([1], to: Topic(validating: reportTopic), qos: .atLeastOnce, until: deadline)
    return publisher.confirmation(of: id, until: deadline)
  }

  @Test func `doesn't attribute a late answer without an id to the next report`() throws {
    let publisher = publisher()
    broker.answers = [answer("accepted", #"{"reportId":1}"#), answer("accepted", #"{"reportId":2}"#)]
    #expect(try publish(1, with: publisher) == .accepted)
    broker.incoming += answer(
      "rejected", #"{"statusDetails":{"ErrorCode":"Throttled","ErrorMessage":"late"}}"#)
    #expect(try publish(2, with: publisher) == .accepted)
  }

  @Test func `doesn't treat a retained message as an answer`() throws {
    let publisher = publisher()
    var retained = answer("rejected", #"{"statusDetails":{"ErrorCode":"Throttled","ErrorMessage":"old"}}"#)
    retained[0] |= 0x01
    broker.retained = retained
    broker.answers = [answer("accepted", #"{"reportId":1}"#)]
    #expect(try publish(1, with: publisher) == .accepted)
    // A retained answer would arrive again with each subscription, just before a report is sent.
    broker.answers = [retained]
    #expect(try publish(2, with: publisher) == .unanswered)
  }

  @Test func `doesn't attribute a rejection that arrives with the subscription to the report`() throws {
    let publisher = publisher()
    broker.retained = answer(
      "rejected", #"{"statusDetails":{"ErrorCode":"Throttled","ErrorMessage":"late"}}"#)
    #expect(try publish(1, with: publisher) == .unanswered)
  }

  @Test func `attributes an answer without an id to the report in progress`() throws {
    let publisher = publisher()
    broker.answers = [
      answer("rejected", #"{"statusDetails":{"ErrorCode":"InvalidPayload","ErrorMessage":"bad"}}"#)
    ]
    #expect(try publish(1, with: publisher) == .rejected(code: "InvalidPayload", message: "bad"))
  }

  @Test(arguments: [true, false])
  func `gives up at its deadline even if the broker never stops sending`(acknowledges: Bool) throws {
    let publisher = publisher()
    broker.acknowledges = acknowledges
    let deadline = time.bootTime.advanced(by: .seconds(3))
    broker.flood = (answer("accepted", #"{"reportId":7}"#), deadline.advanced(by: .seconds(60)))
    if acknowledges {
      #expect(try publish(1, with: publisher, within: .seconds(3)) == .unanswered)
    } else {
      #expect(throws: PublishError.self) { try publish(1, with: publisher, within: .seconds(3)) }
    }
    #expect(deadline.duration(to: time.bootTime) < .milliseconds(10))
  }

  @Test func `disconnects cleanly after a report before the deadline`() throws {
    let publisher = publisher(.perReport)
    let deadline = time.bootTime.advanced(by: .seconds(3))
    #expect(try publish(1, with: publisher, within: .seconds(3)) == .unanswered)
    let goodbye = try #require(broker.packets.last)
    #expect(goodbye.type == 14)
    #expect(goodbye.deadline <= deadline)
  }

  @Test(arguments: [(2.0, 2.0), (60, 5)])
  func `limits a ping to the rest of the sleep, and to 5 s`(
    left: Double, limit: Double
  ) throws {
    let publisher = publisher()
    broker.answers = [answer("accepted", #"{"reportId":1}"#)]
    #expect(try publish(1, with: publisher) == .accepted)
    let ping = try #require(publisher.nextDue)
    let end = ping.advanced(by: .seconds(left))
    #expect(TaskRunningWaiter(time, running: [publisher]).wait(until: end) == .onTime)
    let request = try #require(broker.packets.last { $0.type == 12 })
    #expect(request.deadline == ping.advanced(by: .seconds(limit)))
    #expect(time.bootTime == end)
  }
}
