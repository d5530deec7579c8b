import AWSClient
import DefenderAgent
import GreengrassIPC
import Platform
import TestSupport
import Testing
import WireFormats

private func access(_ resources: String) -> String {
  """
  {"accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {"operations": ["*"], "resources": [\(resources)]}}}}
  """
}

private func soon() -> BootTime { BootTime.now.advanced(by: .seconds(20)) }

/// The system's clock, moved forward by the test.
private final class ShiftedTime: TimeSource {
  var shift = Duration.zero
  var wallTime: WallTime { .now.advanced(by: shift) }
  var bootTime: BootTime { .now.advanced(by: shift) }
}

@Suite(.ownThreads) struct `Commands through the nucleus` {
  private let recorded = RecordedLog()

  private func connected(
    _ nucleus: FakeNucleus, _ clock: any TimeSource = SystemWaiter(shutdown: nil)
  ) throws -> (IPCClient, GreengrassPublisher) {
    let time = SystemWaiter(shutdown: nil)
    let client = IPCClient(
      socketPath: nucleus.socketPath, token: FakeNucleus.token, log: recorded.log(), time: time)
    let publisher = GreengrassPublisher(client, time: clock, log: recorded.log())
    publisher.receiveCommands(on: try CommandTopics(Topic(validating: "c/t")))
    _ = try publisher.open(for: Topic(validating: "own/t"), until: soon())
    return (client, publisher)
  }

  private func deliver(_ text: String, _ nucleus: FakeNucleus, on topic: String = "c/t") throws {
    try nucleus.do(#"{"do": "deliver", "topic": "\#(topic)", "payload": "\#(base64(Array(text.utf8)))"}"#)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `are received and answered, also after a reconnect`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: access(#""c/*", "own/*""#))
    let (client, publisher) = try connected(nucleus)
    for text in ["first", "second"] {
      _ = try nucleus.next("subscribe")
      try deliver(text, nucleus)
      var commands: [[UInt8]] = []
      let end = client.serve(until: soon()) {
        commands += publisher.takeCommands()
        return !commands.isEmpty
      }
      #expect(end == .condition)
      #expect(commands.map { String(decoding: $0, as: UTF8.self) } == [text])
      try publisher.respond(Array("answer to \(text)".utf8), until: soon())
      let response = try nucleus.next("publish")
      #expect(response["topic"]?.string == "c/t/response" && response["qos"]?.string == "1")
      #expect(response["payload"]?.string.flatMap(base64Decoding) == Array("answer to \(text)".utf8))
      if text == "first" { try nucleus.do(#"{"do": "drop"}"#) }
      _ = client.serve(until: soon()) { client.isConnected && nucleus.count("subscribe") == 0 }
    }
  }

  @Test func `need accessControl, and the log names what to add`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: access(#""own/*""#))
    let (client, publisher) = try connected(nucleus)
    _ = client.serve(until: soon()) { recorded.lines.contains { $0.contains("SubscribeToIoTCore to c/t") } }
    #expect(recorded.lines.contains { $0.contains("aws.greengrass#SubscribeToIoTCore, resources c/t") })
    let error = #expect(throws: PublishError.self) { try publisher.respond([1], until: soon()) }
    #expect(error?.advice.contains("aws.greengrass#PublishToIoTCore, resources c/t/response") == true)
    _ = try publisher.publish([1], to: Topic(validating: "own/t"), qos: .atLeastOnce, until: soon())
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `are subscribed to again once an hour on lite, which drops subscriptions`(manner: FakeNucleus.Manner)
    throws
  {
    let nucleus = try FakeNucleus(manner, configuration: access(#""c/*", "own/*""#))
    let clock = ShiftedTime()
    let (client, publisher) = try connected(nucleus, clock)
    let topic = try Topic(validating: "own/t")
    var expected = 1
    for minutes in [0, 59, 1, 1] {
      clock.shift += .seconds(minutes * 60)
      try nucleus.do(#"{"do": "kill-subscriptions", "operations": ["SubscribeToIoTCore"]}"#)
      _ = try publisher.publish([1], to: topic, qos: .atLeastOnce, until: soon())
      // The nucleus handles requests in turn, so it has handled a new subscription before this call.
      _ = try client.call(.getConfiguration, until: soon())
      try nucleus.catchUp()
      if minutes == 1, manner == .lite { expected = 2 }
      #expect(nucleus.count("subscribe") == expected, "after \(minutes) minutes more")
    }
  }

  @Test func `end with the configuration that had them`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: access(#""c/*", "own/*""#))
    let (_, publisher) = try connected(nucleus)
    publisher.receiveCommands(on: nil)
    #expect(publisher.commandTopics == nil && publisher.takeCommands().isEmpty)
    // The nucleus delivers nothing more on the stream.
    #expect(try nucleus.next("end-of-stream")["known"] == .boolean(true))
    _ = try publisher.publish([1], to: Topic(validating: "own/t"), qos: .atLeastOnce, until: soon())
    try nucleus.do(#"{"do": "deliver", "topic": "c/t", "payload": "AQ=="}"#)
    try nucleus.catchUp()
    #expect(publisher.takeCommands().isEmpty)
  }
}
