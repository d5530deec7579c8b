import AWSClient
import DefenderFunction
import GreengrassIPC
import Platform
import TestSupport
import Testing
import WireFormats

private let access = """
  {"accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {"operations": ["*"],
    "resources": ["$aws/things/*/defender/metrics/*", "own/*"]}}}}
  """

private func topic(_ name: String = "$aws/things/t1/defender/metrics/json") throws -> Topic {
  try Topic(validating: name)
}

private func soon(_ timeout: Duration = .seconds(20)) -> BootTime { BootTime.now.advanced(by: timeout) }

private func publisher(_ nucleus: FakeNucleus, _ log: Log = Log { _, _ in }) -> GreengrassPublisher {
  let client = IPCClient(socketPath: nucleus.socketPath, token: FakeNucleus.token, log: log, shutdown: nil)
  let publisher = GreengrassPublisher(client, time: SystemTime(shutdown: nil), log: log)
  publisher.retries.firstDelay = .milliseconds(10)
  return publisher
}

private func report(_ id: UInt64) -> [UInt8] { Array(#"{"header":{"report_id":\#(id)}}"#.utf8) }

@Suite(.ownThreads) struct `Publishing through the nucleus` {
  @Test(arguments: FakeNucleus.Manner.allCases)
  func `tells what Device Defender accepted and what it rejected`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    publisher.announce(reportID: 7)
    let receipt = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(receipt.description == "acknowledged")
    #expect(publisher.confirmation(of: 7, until: soon()) == .accepted)
    try nucleus.do(#"{"do": "confirm", "mode": "rejected"}"#)
    publisher.announce(reportID: 8)
    _ = try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(
      publisher.confirmation(of: 8, until: soon())
        == .rejected(code: "InvalidPayload", message: "Malformed metrics report"))
  }

  @Test func `takes no answer to another report, and waits no longer than it should`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 9, until: soon(.milliseconds(300))) == .unanswered)
  }

  @Test func `expects no answer where there will be none`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: access)
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic("own/topic"), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 7, until: soon()) == nil)
    try nucleus.catchUp()
    #expect(nucleus.count("subscribe") == 0)
  }

  @Test func `expects no answer where both subscriptions were refused`() throws {
    let onlyPublish = """
      {"accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {
        "operations": ["aws.greengrass#PublishToIoTCore"], "resources": ["*"]}}}}
      """
    let nucleus = try FakeNucleus(.lite, configuration: onlyPublish)
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 7, until: soon()) == nil)
  }

  @Test(arguments: ["drop-before", "drop-after", "refuse", "text-error", "garbage", "restart"])
  func `is tried again, as often as configured`(fault: String) throws {
    let nucleus = try FakeNucleus(.lite, configuration: access)
    let publisher = publisher(nucleus)
    publisher.retries.count = 2
    try nucleus.do(
      #"{"do": "fault", "operation": "PublishToIoTCore", "fault": "\#(fault)", "count": 2, "seconds": 0.1}"#)
    let receipt = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(receipt.attempts == 3)
    try nucleus.do(
      #"{"do": "fault", "operation": "PublishToIoTCore", "fault": "\#(fault)", "count": 3, "seconds": 0.1}"#)
    let error = try #require(throws: PublishError.self) {
      try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.attempts == 3)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `isn't tried again where it isn't allowed, and says what to allow`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner)
    let error = try #require(throws: PublishError.self) {
      try publisher(nucleus).publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.attempts == 1)
    #expect(error.advice.hasPrefix("Allow it in the component's configuration: accessControl"))
  }

  @Test func `says that lite takes no longer messages`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access)
    let publisher = publisher(nucleus)
    publisher.retries.count = 0
    let long = [UInt8](repeating: 0x20, count: 7_294)
    let error = try #require(throws: PublishError.self) {
      try publisher.publish(long, to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.advice.hasPrefix("Greengrass nucleus lite takes at most 7293 bytes on this topic"))
    let tooLong = [UInt8](repeating: 0x20, count: 131_073)
    #expect(throws: PublishError.self) {
      try publisher.publish(tooLong, to: topic(), qos: .atLeastOnce, until: soon())
    }
  }

  @Test func `waits longer from attempt to attempt, up to ten minutes`() {
    var policy = GreengrassPublisher.RetryPolicy()
    policy.firstDelay = .seconds(5)
    #expect((.milliseconds(2_500)...Duration.seconds(5)).contains(policy.delay(afterAttempt: 1)))
    #expect((.seconds(5)...Duration.seconds(10)).contains(policy.delay(afterAttempt: 2)))
    #expect((.seconds(300)...Duration.seconds(600)).contains(policy.delay(afterAttempt: 72)))
  }
}
