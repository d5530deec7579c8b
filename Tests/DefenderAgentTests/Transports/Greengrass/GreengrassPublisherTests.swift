import AWSClient
import DefenderAgent
import GreengrassIPC
import Platform
import Synchronization
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
  let client = IPCClient(
    socketPath: nucleus.socketPath, token: FakeNucleus.token, log: log,
    time: SystemWaiter(shutdown: nil))
  let publisher = GreengrassPublisher(client, time: SystemWaiter(shutdown: nil), log: log)
  publisher.retries.firstDelay = .milliseconds(10)
  return publisher
}

private func report(_ id: UInt64) -> [UInt8] { Array(#"{"header":{"report_id":\#(id)}}"#.utf8) }

@Suite(.ownThreads) struct `Publishing through the nucleus` {
  @Test(arguments: FakeNucleus.Manner.allCases)
  func `reports what Device Defender accepted and rejected`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    publisher.announce(reportID: 7)
    let receipt = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(receipt.description == "accepted by the nucleus")
    #expect(publisher.confirmation(of: 7, until: soon()) == .accepted)
    try nucleus.do(#"{"do": "confirm", "mode": "rejected"}"#)
    publisher.announce(reportID: 8)
    _ = try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(
      publisher.confirmation(of: 8, until: soon())
        == .rejected(code: "InvalidPayload", message: "Malformed metrics report"))
  }

  @Test func `spools reports while the core is offline, and takes the answer later`() throws {
    let nucleus = try FakeNucleus(
      .classic, configuration: access, arguments: ["--confirm", "accepted", "--connection-status"])
    let lines = Mutex<[String]>([])
    let log = Log { _, line in lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
    let client = IPCClient(
      socketPath: nucleus.socketPath, token: FakeNucleus.token, log: log, time: SystemWaiter(shutdown: nil))
    let publisher = GreengrassPublisher(client, time: SystemWaiter(shutdown: nil), log: log)
    #expect(publisher.isCoreOnline(until: soon()) == true)
    #expect(publisher.connectionNote == nil)
    try nucleus.do(#"{"do": "core-offline"}"#)
    publisher.announce(reportID: 7)
    let receipt = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(receipt.isSpooled)
    #expect(receipt.description == "accepted by the nucleus, which has no connection to AWS IoT")
    #expect(publisher.connectionNote == "the core has no connection to AWS IoT")
    // Returns at once.
    #expect(publisher.confirmation(of: 7, until: .distantFuture) == .spooled)
    #expect(publisher.lateConfirmation(of: 7) == nil)
    try nucleus.do(#"{"do": "core-online"}"#)
    #expect(client.serve(until: soon()) { publisher.lateConfirmation(of: 7) == .accepted } == .condition)
    #expect(publisher.connectionNote == nil)
    publisher.announce(reportID: 8)
    #expect(try !publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon()).isSpooled)
    #expect(publisher.confirmation(of: 8, until: soon()) == .accepted)
    let changes = lines.withLock { $0 }.filter { $0.contains("AWS IoT") }
    #expect(changes.count == 2 && changes.allSatisfy { $0.contains("[INFO]") }, "\(changes)")
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `asks a nucleus without a connection status once, and doesn't log the refusal`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try FakeNucleus(manner, configuration: access, arguments: ["--confirm", "accepted"])
    let lines = Mutex<[String]>([])
    let publisher = publisher(
      nucleus, Log { _, line in lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } })
    #expect(publisher.isCoreOnline(until: soon()) == nil)
    for id: UInt64 in 7...8 {
      publisher.announce(reportID: id)
      #expect(try !publisher.publish(report(id), to: topic(), qos: .atLeastOnce, until: soon()).isSpooled)
      #expect(publisher.confirmation(of: id, until: soon()) == .accepted)
    }
    #expect(lines.withLock { $0 } == [])
    _ = try nucleus.next("refused")
    try nucleus.catchUp()
    #expect(nucleus.count("refused") == 1)
  }

  @Test func `doesn't know the core's state after a reconnect to a nucleus that doesn't announce it`() throws
  {
    let nucleus = try FakeNucleus(
      .classic, configuration: access, arguments: ["--confirm", "accepted", "--connection-status"])
    let lines = Mutex<[String]>([])
    let publisher = publisher(
      nucleus, Log { _, line in lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } })
    try nucleus.do(#"{"do": "core-offline"}"#)
    #expect(publisher.isCoreOnline(until: soon()) == false)
    try nucleus.do(
      #"{"do": "fault", "operation": "SubscribeToIoTCoreConnectionStatus", "fault": "refuse", "error": "ServiceError"}"#
    )
    try nucleus.do(#"{"do": "drop"}"#)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.isCoreOnline(until: soon()) == nil)
    #expect(publisher.connectionNote == nil)
    #expect(!lines.withLock { $0 }.contains { $0.contains("connected to AWS IoT again") })
  }

  @Test func `ignores an answer to another report, and stops waiting in time`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 9, until: soon(.milliseconds(300))) == .unanswered)
  }

  @Test func `expects no answer on a topic without answers`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: access)
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic("own/topic"), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 7, until: soon()) == nil)
    try nucleus.catchUp()
    #expect(nucleus.count("subscribe") == 0)
  }

  @Test func `reports that answers can't be received if both subscriptions are refused`() throws {
    let onlyPublish = """
      {"accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {
        "operations": ["aws.greengrass#PublishToIoTCore"], "resources": ["*"]}}}}
      """
    let nucleus = try FakeNucleus(.lite, configuration: onlyPublish)
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    guard case .unavailable(let reason)? = publisher.confirmation(of: 7, until: soon()) else {
      Issue.record("answers were expected")
      return
    }
    #expect(reason.contains("with UnauthorizedError: IPC Operation not authorized. Allow it in"))
    #expect(reason.contains("aws.greengrass#SubscribeToIoTCore"))
  }

  @Test func `subscribes again after an unanswered report`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    publisher.announce(reportID: 7)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 7, until: soon()) == .accepted)
    try nucleus.do(#"{"do": "kill-subscriptions", "operations": ["SubscribeToIoTCore"]}"#)
    publisher.announce(reportID: 8)
    _ = try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 8, until: soon(.milliseconds(300))) == .unanswered)
    publisher.announce(reportID: 9)
    _ = try publisher.publish(report(9), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 9, until: soon()) == .accepted)
    #expect(nucleus.count("connect") == 1)
  }

  @Test func `subscribes again once the core is online`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access, arguments: ["--confirm", "accepted"])
    let publisher = publisher(nucleus)
    publisher.retries.count = 0
    try nucleus.do(#"{"do": "offline"}"#)
    let error = try #require(throws: PublishError.self) {
      try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.reason.hasSuffix("with ServiceError: Failed to publish the message"))
    #expect(!error.description.contains(".."))
    try nucleus.do(#"{"do": "online"}"#)
    publisher.announce(reportID: 8)
    _ = try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 8, until: soon()) == .accepted)
  }

  @Test func `recognizes a late answer, and doesn't wait for one`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access, arguments: ["--confirm", "accepted"])
    let client = IPCClient(
      socketPath: nucleus.socketPath, token: FakeNucleus.token, log: Log { _, _ in },
      time: SystemWaiter(shutdown: nil))
    let publisher = GreengrassPublisher(client, time: SystemWaiter(shutdown: nil), log: Log { _, _ in })
    try nucleus.do(#"{"do": "fault", "operation": "confirm", "fault": "late", "seconds": 1}"#)
    publisher.announce(reportID: 7)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(publisher.confirmation(of: 7, until: soon(.milliseconds(100))) == .unanswered)
    #expect(publisher.lateConfirmation(of: 7) == nil)
    while nucleus.count("answer") == 0 {
      _ = client.serve(until: soon(.milliseconds(100)))
      try nucleus.catchUp()
    }
    _ = client.serve(until: soon(.milliseconds(200)))
    #expect(publisher.lateConfirmation(of: 7) == .accepted)
  }

  @Test func `retries what was allowed before and is temporarily refused`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access)
    let publisher = publisher(nucleus)
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    let refusal = #""fault": "refuse", "error": "UnauthorizedError""#
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", \#(refusal), "count": 2}"#)
    let receipt = try publisher.publish(report(8), to: topic(), qos: .atLeastOnce, until: soon())
    #expect(receipt.attempts == 3)
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", \#(refusal), "count": 10}"#)
    let error = try #require(throws: PublishError.self) {
      try publisher.publish(report(9), to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.advice.contains("ggconfigd"))
    // The nucleus never allowed the other topic.
    let other = try #require(throws: PublishError.self) {
      try publisher.publish(report(9), to: topic("elsewhere"), qos: .atLeastOnce, until: soon())
    }
    #expect(other.attempts == 1)
  }

  @Test(arguments: ["drop-before", "drop-after", "refuse", "text-error", "garbage", "restart"])
  func `is retried as often as configured`(fault: String) throws {
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
  func `isn't retried without permission, and names the permission`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner)
    let error = try #require(throws: PublishError.self) {
      try publisher(nucleus).publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.attempts == 1)
    #expect(error.advice.hasPrefix("Allow it in the component's configuration: accessControl"))
  }

  @Test func `reports that lite accepts no longer messages`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: access)
    let publisher = publisher(nucleus)
    let long = [UInt8](repeating: 0x20, count: 7_294)
    let error = try #require(throws: PublishError.self) {
      try publisher.publish(long, to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(error.advice.contains(" 7293 bytes "))
    // The report was sent only once, because lite closes the connection each time.
    #expect(error.attempts == 1)
    try nucleus.catchUp()
    #expect(nucleus.count("too-long") == 1)
    // The report isn't sent at all to a nucleus that is known to be lite.
    _ = try publisher.publish(report(7), to: topic(), qos: .atLeastOnce, until: soon())
    publisher.retries.count = 5
    let second = try #require(throws: PublishError.self) {
      try publisher.publish(long, to: topic(), qos: .atLeastOnce, until: soon())
    }
    #expect(second.attempts == 0)
    #expect(second.advice.contains(" 7293 bytes "))
    try nucleus.catchUp()
    #expect(nucleus.count("too-long") == 1)
    let tooLong = [UInt8](repeating: 0x20, count: 131_073)
    #expect(throws: PublishError.self) {
      try publisher.publish(tooLong, to: topic(), qos: .atLeastOnce, until: soon())
    }
  }

  @Test(arguments: [(FixedGenerator.lowest, 1.0), (.highest, 2.0)])
  func `draws its delays from the given generator`(generator: FixedGenerator, factor: Double) {
    let policy = GreengrassPublisher.RetryPolicy()
    var random = generator
    for (attempt, delay) in [(1, 2.5), (2, 5), (3, 10), (7, 160), (8, 300), (72, 300)] {
      #expect(
        abs(policy.delay(afterAttempt: attempt, using: &random).inSeconds - delay * factor) < 0.001)
    }
  }

  @Test func `waits longer after each attempt, up to ten minutes`() {
    var policy = GreengrassPublisher.RetryPolicy()
    policy.firstDelay = .seconds(5)
    var random = SystemRandomNumberGenerator()
    let delays = [1, 2, 72].map { policy.delay(afterAttempt: $0, using: &random) }
    #expect((.milliseconds(2_500)...Duration.seconds(5)).contains(delays[0]))
    #expect((.seconds(5)...Duration.seconds(10)).contains(delays[1]))
    #expect((.seconds(300)...Duration.seconds(600)).contains(delays[2]))
  }
}
