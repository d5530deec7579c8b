import AWSClient
import DefenderAgent
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// A connector whose every attempt fails with an error that the test chooses.
private final class ScriptedConnector: BrokerConnector {
  let endpoint = "mqtts://broker:8883"
  private(set) var attempts = 0
  private let attempt: (Int) -> TransportFailure

  /// `attempt` returns the failure of an attempt, which is numbered from 1.
  init(_ attempt: @escaping (Int) -> TransportFailure) {
    self.attempt = attempt
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    attempts += 1
    throw attempt(attempts)
  }
}

/// A broker that accepts connections and pings, and ends a connection at any other packet, as AWS IoT does if a policy
/// doesn't allow that packet.
private final class HangingUp: BrokerConnector, ByteStream {
  let endpoint = "mqtts://broker:8883"
  private let loss: StreamError?
  private var incoming: [UInt8] = []

  /// `loss` is the error with which a connection ends; nil for an orderly close.
  init(_ loss: StreamError?) {
    self.loss = loss
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    incoming = []
    return self
  }

  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int {
    if incoming.isEmpty {
      if let loss { throw loss }
      return 0
    }
    buffer += incoming
    defer { incoming = [] }
    return incoming.count
  }

  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    switch bytes[0] >> 4 {
    case 1: incoming = [0x20, 2, 0, 0]
    case 12: incoming = [0xD0, 0]
    default: break
    }
  }
  func close() {}
}

@Suite struct `A publisher that can't connect` {
  private let time = ManualTime()

  private func publisher(_ connector: any BrokerConnector, _ delay: ReconnectDelay) -> MQTTPublisher {
    var settings = MQTTPublisher.Settings(
      clientID: "c", keepAliveSeconds: 60, connection: .persistent, version: .three)
    settings.delay = delay
    return MQTTPublisher(connector, settings, time: time, log: RecordedLog().log())
  }

  private func failure(of publisher: MQTTPublisher, within duration: Duration) throws -> TransportFailure {
    let topic = try Topic(validating: "own/topic")
    do throws(PublishError) {
      _ = try publisher.publish(
        [1], to: topic, qos: .atLeastOnce, until: time.bootTime.advanced(by: duration))
    } catch {
      if case .transport(let failure) = error.cause { return failure }
    }
    throw PublishError(.noTimeLeft, topic: topic, endpoint: "", attempts: 0)
  }

  @Test func `reports the original failure, not the one that the deadline caused`() throws {
    let connector = ScriptedConnector { [time] number in
      if number == 1 {
        return TransportFailure(reason: "the certificate is revoked", advice: "", isTransient: true)
      }
      time.advance(by: .seconds(20))
      return TransportFailure(reason: "no answer in time", advice: "", isTransient: true)
    }
    let publisher = publisher(connector, ReconnectDelay())
    #expect(try failure(of: publisher, within: .seconds(10)).reason == "the certificate is revoked")
    #expect(connector.attempts == 2)
  }

  @Test func `sends a report at most four times`() throws {
    let publisher = publisher(HangingUp(nil), ReconnectDelay())
    let topic = try Topic(validating: "own/topic")
    let deadline = time.bootTime.advanced(by: .seconds(3_600))
    let error = #expect(throws: PublishError.self) {
      try publisher.publish([1], to: topic, qos: .atLeastOnce, until: deadline)
    }
    #expect(error?.attempts == 4)
  }

  @Test(arguments: [nil, .lost("recv: connection reset")] as [StreamError?])
  func `names the permission to add if the broker closes the connection on a report`(loss: StreamError?)
    throws
  {
    let failure = try failure(of: publisher(HangingUp(loss), ReconnectDelay()), within: .seconds(60))
    #expect(failure.advice.contains("iot:Publish on topic/own/topic"), "\(failure)")
    #expect(failure.reason.contains(loss == nil ? "before its PUBACK" : "connection reset"))
  }

  @Test func `doubles its wait after each attempt, regardless of how often it is called`() throws {
    let connector = ScriptedConnector { _ in
      TransportFailure(reason: "no route", advice: "", isTransient: false)
    }
    let publisher = publisher(connector, ReconnectDelay(first: .seconds(60), longest: .seconds(60)))
    let begin = time.bootTime
    #expect(try failure(of: publisher, within: .seconds(1)).reason == "no route")
    // With a publish every second, each one reports that the next attempt isn't due, until one makes the attempt.
    while connector.attempts == 1 {
      time.advance(by: .seconds(1))
      let reason = try failure(of: publisher, within: .seconds(1)).reason
      #expect(reason == "no route" || reason.hasPrefix("the next attempt to connect is due in "))
      guard begin.duration(to: time.bootTime) < .seconds(300) else { break }
    }
    #expect(connector.attempts == 2)
    #expect((.seconds(30)..<(.seconds(64))).contains(begin.duration(to: time.bootTime)))
  }
}
