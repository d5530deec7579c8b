import DefenderAgent
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

@Suite struct `A publisher with commands that loses its connection` {
  private let time = ManualTime()
  private let recorded = RecordedLog()
  private static let week = Duration.seconds(604_800)
  private static let report = #"{"command":"report"}"#

  /// What the publisher reports, with its times.
  private final class Record {
    var losses: [BootTime] = []
    var reconnects: [BootTime] = []
  }

  private let record = Record()

  private func publisher(
    _ broker: CommandBroker, _ version: ProtocolVersion = .five, hasCommands: Bool = true
  ) throws -> MQTTPublisher {
    var settings = MQTTPublisher.Settings(
      clientID: "p", keepAliveSeconds: 60, connection: .persistent, version: version)
    if hasCommands { settings.commandTopics = try CommandTopics(Topic(validating: "c/t")) }
    let publisher = MQTTPublisher(broker, settings, time: time, log: recorded.log())
    publisher.whenLost = { [record, time] _ in record.losses.append(time.bootTime) }
    publisher.whenReconnected = { [record, time] in record.reconnects.append(time.bootTime) }
    _ = try publisher.publish(
      Array("{}".utf8), to: Topic(validating: "$aws/things/p/defender/metrics/json"), qos: .atLeastOnce,
      until: time.bootTime.advanced(by: .seconds(300)))
    _ = publisher.takeCommands()
    return publisher
  }

  /// Waits like the loop for a report that is due after `duration`.
  private func wait(_ publisher: MQTTPublisher, _ duration: Duration = Self.week) -> Wake {
    TaskRunningWaiter(time, running: [publisher]).wait(until: time.bootTime.advanced(by: duration))
  }

  private func lines(with text: String) -> [String] { recorded.lines.filter { $0.contains(text) } }

  @Test(arguments: [ProtocolVersion.three, .five])
  func `connects and subscribes again within seconds, not with the next report`(version: ProtocolVersion)
    throws
  {
    let broker = CommandBroker(version, time: time)
    let publisher = try publisher(broker, version)
    broker.isOpen = false
    #expect(wait(publisher) == .message)
    let loss = try #require(record.losses.first)
    let pause = loss.duration(to: try #require(record.reconnects.first))
    #expect(pause >= .seconds(5) && pause <= .seconds(10), "\(pause)")
    #expect(broker.connections == 2 && broker.count(8) == 4 && publisher.isConnected)
    broker.send(Self.report, on: "c/t")
    #expect(publisher.takeCommands().count == 1)
    // From now on, only pings wake it.
    let sleeps = time.sleeps.count
    #expect(wait(publisher, .seconds(3_000)) == .onTime)
    #expect(time.sleeps.count - sleeps <= 51 && broker.connections == 2)
    #expect(lines(with: "Reconnected to mqtts://broker:8883 to receive commands.").count == 1)
  }

  @Test func `shows the new connection in the status`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker)
    var shown: [String] = []
    let status = AgentStatus { shown.append($0) }
    status.follow(publisher, time: time)
    broker.isOpen = false
    #expect(wait(publisher) == .message)
    #expect(shown.count == 2 && shown.first?.hasPrefix("Not connected; no report yet") == true, "\(shown)")
    #expect(shown.last?.hasPrefix("Connected; no report yet") == true, "\(shown)")
  }

  @Test func `doesn't connect before the next report if no commands are configured`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker, hasCommands: false)
    broker.isOpen = false
    #expect(wait(publisher) == .onTime)
    #expect(record.losses.count == 1 && record.reconnects.isEmpty)
    #expect(broker.connections == 1 && publisher.nextDue == nil)
  }

  @Test func `retries at most every five minutes during an outage, and logs that once an hour`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker)
    broker.isOpen = false
    broker.isDown = true
    let sleeps = time.sleeps.count
    #expect(wait(publisher, .seconds(86_400)) == .onTime)
    // 150 to 300 s apart, after a few shorter delays at first.
    let attempts = broker.connections - 1
    #expect(attempts >= 288 && attempts <= 600, "\(attempts)")
    #expect(time.sleeps.count - sleeps <= attempts + 3)
    let failures = lines(
      with: "Can't reconnect to mqtts://broker:8883 to receive commands: no route to host.")
    let infos = failures.count { $0.contains("[INFO]") }
    #expect((20...25).contains(infos), "\(infos)")
    broker.isDown = false
    #expect(wait(publisher) == .message)
    #expect(publisher.isConnected && record.reconnects.count == 1)
  }

  @Test func `connects again after its certificate and key were renewed`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker)
    let start = time.bootTime
    publisher.renew()
    #expect(wait(publisher) == .message)
    let pause = start.duration(to: time.bootTime)
    #expect(pause >= .seconds(5) && pause <= .seconds(10) && publisher.isConnected, "\(pause)")
  }

  @Test func `connects again after a response that the policy doesn't allow`() throws {
    let broker = CommandBroker(.three, time: time)
    broker.response = .hangUp
    let publisher = try publisher(broker, .three)
    let start = time.bootTime
    #expect(throws: PublishError.self) {
      try publisher.respond([0x7B], until: start.advanced(by: .seconds(10)))
    }
    #expect(!publisher.isConnected && wait(publisher) == .message)
    #expect(start.duration(to: time.bootTime) <= .seconds(10))
    broker.send(Self.report, on: "c/t")
    #expect(publisher.takeCommands().count == 1)
  }

  @Test func `connects after a start without a network`() throws {
    let broker = CommandBroker(.five, time: time)
    let settings = {
      var settings = MQTTPublisher.Settings(clientID: "p", keepAliveSeconds: 60, connection: .persistent)
      settings.commandTopics = $0
      return settings
    }(try CommandTopics(Topic(validating: "c/t")))
    let publisher = MQTTPublisher(broker, settings, time: time, log: recorded.log())
    #expect(publisher.nextDue == nil)
    broker.isDown = true
    let topic = try Topic(validating: "own/p")
    #expect(throws: PublishError.self) {
      try publisher.open(for: topic, until: time.bootTime.advanced(by: .seconds(9)))
    }
    broker.isDown = false
    #expect(wait(publisher) == .message)
    #expect(publisher.isConnected && broker.connections == 2)
  }

  @Test func `gives up when the next report is due`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker)
    publisher.renew()
    let due = try #require(publisher.nextDue)
    let end = due.advanced(by: .seconds(2))
    _ = wait(publisher, time.bootTime.duration(to: end))
    #expect(broker.connections == 2 && broker.connectDeadline == end)
    // A later attempt has a separate limit.
    publisher.renew()
    _ = wait(publisher)
    #expect(broker.connectDeadline.map { time.bootTime.duration(to: $0) <= .seconds(30) } == true)
  }

  @Test func `waits longer from one loss to the next, until a connection lasts`() throws {
    let broker = CommandBroker(.five, time: time)
    let publisher = try publisher(broker)
    var pauses: [Duration] = []
    for _ in 0..<10 {
      broker.isOpen = false
      publisher.run(until: .distantFuture)
      let due = try #require(publisher.nextDue)
      pauses.append(time.bootTime.duration(to: due))
      #expect(wait(publisher) == .message)
      _ = publisher.takeCommands()
    }
    #expect(pauses[0] <= .seconds(10) && pauses[2] >= .seconds(20), "\(pauses)")
    #expect(pauses[9] >= .seconds(150) && pauses[9] <= .seconds(300), "\(pauses)")
    #expect(wait(publisher, .seconds(400)) == .onTime)
    broker.isOpen = false
    publisher.run(until: .distantFuture)
    let due = try #require(publisher.nextDue)
    #expect(time.bootTime.duration(to: due) <= .seconds(10))
  }
}
