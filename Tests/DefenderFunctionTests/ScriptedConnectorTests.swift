import AWSClient
import DefenderFunction
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing

/// A way to the broker on which everything fails as a script says.
private final class ScriptedConnector: BrokerConnector {
  let endpoint = "mqtts://broker:8883"
  private(set) var attempts = 0
  private let attempt: (Int) -> TransportFailure

  /// `attempt` is told how many there were, from 1.
  init(_ attempt: @escaping (Int) -> TransportFailure) {
    self.attempt = attempt
  }

  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    attempts += 1
    throw attempt(attempts)
  }
}

@Suite struct `A publisher that can't connect` {
  private let time = ManualTime()

  private func publisher(_ connector: ScriptedConnector, _ delay: ReconnectDelay) -> MQTTPublisher {
    var settings = MQTTPublisher.Settings(clientID: "c", keepAliveSeconds: 60, connection: .persistent)
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

  @Test func `tells the failure that had a reason of its own, not the one that the deadline made`() throws {
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

  @Test func `waits twice as long after each attempt, and no longer for having been asked`() throws {
    let connector = ScriptedConnector { _ in
      TransportFailure(reason: "no route", advice: "", isTransient: false)
    }
    let publisher = publisher(connector, ReconnectDelay(first: .seconds(60), longest: .seconds(60)))
    let begin = time.bootTime
    #expect(try failure(of: publisher, within: .seconds(1)).reason == "no route")
    // Asked every second, it says each time that the next attempt isn't due, and then makes it.
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
