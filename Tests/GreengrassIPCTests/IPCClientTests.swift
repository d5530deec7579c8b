@testable import GreengrassIPC
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

private let topic = "$aws/things/t1/defender/metrics/json"
private let configuration = """
  {"SampleIntervalSeconds": 300, "accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {
    "operations": ["aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"],
    "resources": ["$aws/things/*/defender/metrics/*"]}}}}
  """

/// A client of a nucleus, and its log.
private final class Component {
  let client: IPCClient
  private(set) var lines: [String] = []

  init(
    socketPath: String, token: String = FakeNucleus.token, name: String? = nil,
    time: any Waiter = SystemWaiter(shutdown: nil),
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    let sink = Sink()
    let log = Log(level: .info) { _, line in sink.lines.append(String(decoding: line, as: UTF8.self)) }
    client = IPCClient(
      socketPath: socketPath, token: token, componentName: { name }, log: log, time: time,
      random: random)
    self.sink = sink
  }

  convenience init(_ nucleus: FakeNucleus) {
    self.init(socketPath: nucleus.socketPath)
  }

  private let sink: Sink
  var log: [String] { sink.lines }

  private final class Sink { var lines: [String] = [] }

  @discardableResult
  func publish(
    _ payload: String = "{}", to topic: String = topic, within timeout: Duration = .seconds(20)
  ) throws(IPCError) -> JSONValue {
    try client.call(
      .publishToIoTCore(topic: topic, qualityOfService: .atLeastOnce, payload: Array(payload.utf8)),
      until: soon(timeout))
  }
}

private func soon(_ timeout: Duration = .seconds(20)) -> BootTime { BootTime.now.advanced(by: timeout) }

@Suite(.ownThreads) struct `A client of the nucleus` {
  @Test(arguments: FakeNucleus.Manner.allCases)
  func `publishes many times on one connection, and ends each stream as the nucleus requires`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try FakeNucleus(manner, configuration: configuration)
    let component = Component(nucleus)
    for number in 0..<3 {
      try component.publish(#"{"n":\#(number)}"#)
      let event = try nucleus.next("publish")
      #expect(event["topic"]?.string == topic)
      #expect(event["qos"]?.string == "1")
      #expect(event["payload"]?.string.flatMap(base64Decoding) == Array(#"{"n":\#(number)}"#.utf8))
      #expect(event["connection"] == .number("1"))
      if manner == .lite { #expect(try nucleus.next("end-of-stream")["known"]?.boolean == true) }
    }
    try nucleus.catchUp()
    #expect(nucleus.count("end-of-stream") == (manner == .lite ? 3 : 0))
    #expect(nucleus.count("malformed") == 0)
    #expect(component.log.isEmpty)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `reads its configuration, receives its changes, and reports its state`(manner: FakeNucleus.Manner)
    throws
  {
    let nucleus = try FakeNucleus(manner, configuration: configuration)
    let client = Component(nucleus).client
    let updates = client.subscribe(.subscribeToConfigurationUpdate)
    let first = try client.call(.getConfiguration, until: soon())
    #expect(first["value"]?["SampleIntervalSeconds"] == .number("300"))
    #expect(updates.isActive)
    try nucleus.do(#"{"do": "configure", "configuration": {"SampleIntervalSeconds": 60}}"#)
    #expect(client.serve(until: soon(), orWhen: { updates.hasEvents }) == .condition)
    let paths = updates.takeEvents().compactMap {
      $0["configurationUpdateEvent"]?["keyPath"]?.array?.first?.string
    }
    #expect(paths.contains("SampleIntervalSeconds"))
    let second = try client.call(.getConfiguration, until: soon())
    #expect(second["value"]?["SampleIntervalSeconds"] == .number("60"))
    _ = try client.call(.updateState(.running), until: soon())
    #expect(try nucleus.next("state")["state"]?.string == "RUNNING")
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `receives Device Defender's answers`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: configuration, arguments: ["--confirm", "accepted"])
    let component = Component(nucleus)
    let accepted = component.client.subscribe(
      .subscribeToIoTCore(topicFilter: topic + "/accepted", qualityOfService: .atLeastOnce))
    try component.publish(#"{"header":{"report_id":17}}"#)
    #expect(component.client.serve(until: soon(), orWhen: { accepted.hasEvents }) == .condition)
    let message = try #require(accepted.takeEvents().first?["message"])
    #expect(message["topicName"]?.string == topic + "/accepted")
    let answer = try JSONValue(parsing: try #require(message["payload"]?.string.flatMap(base64Decoding)))
    #expect(answer["reportId"] == .number("17"))
  }

  @Test func `answers a ping and a flood of pings`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    let component = Component(nucleus)
    try component.publish()
    try nucleus.do(#"{"do": "ping"}"#)
    #expect(component.client.serve(until: soon(.milliseconds(300))) == .onTime)
    #expect(try nucleus.next("ping-response")["payload"]?.string == "are you there")
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", "fault": "pings", "pings": 3000}"#)
    try component.publish()
    for _ in 0..<3_000 { _ = try nucleus.next("ping-response") }
    #expect(component.log.isEmpty)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `names the missing permission if it isn't allowed to publish`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: configuration)
    let component = Component(nucleus)
    let error = try #require(throws: IPCError.self) { try component.publish(to: "elsewhere") }
    #expect(error.isUnauthorized)
    #expect(!error.isTransient)
    for part in [
      "PublishToIoTCore to elsewhere", "UnauthorizedError", "uthorized", "accessControl",
      "aws.greengrass.ipc.mqttproxy", "resources elsewhere",
    ] { #expect("\(error). \(error.advice)".contains(part)) }
    // The connection still works.
    try component.publish()
    #expect(try nucleus.next("publish")["connection"] == .number("1"))
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `explains a rejected token once without showing it`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try FakeNucleus(manner)
    let component = Component(socketPath: nucleus.socketPath, token: "FEDCBA9876543210")
    while nucleus.count("connect") < 3 {
      let error = try #require(throws: IPCError.self) { try component.publish(within: .milliseconds(700)) }
      try nucleus.catchUp()
      #expect(error.description.contains("token (SVCUID)"))
      #expect(error.isTransient)
    }
    // On a busy machine the nucleus may exceed the time limit once, which is logged, too.
    let messages = component.log.map { $0.split(separator: "\t").last }
    #expect(Set(messages).count == messages.count && messages.count < 3, "\(messages)")
    #expect(component.log.allSatisfy { !$0.contains("FEDCBA9876543210") })
    var dumped = ""
    dump(component.client, to: &dumped)
    #expect(!dumped.contains("FEDCBA9876543210"))
  }

  @Test func `gets a new token by its name from a nucleus that has forgotten the token`() throws {
    let nucleus = try FakeNucleus(
      .lite, configuration: configuration, arguments: ["--component-name", "the.component"])
    let component = Component(socketPath: nucleus.socketPath, name: "the.component")
    try component.publish()
    #expect(component.client.issuedToken == nil)
    for count in 1...2 {
      try nucleus.do(#"{"do": "forget-token"}"#)
      try nucleus.do(#"{"do": "drop"}"#)
      while nucleus.count("publish") == count {
        do throws(IPCError) { try component.publish() } catch { #expect(error.isTransient) }
        try nucleus.catchUp()
      }
      #expect(nucleus.events.last { $0["event"]?.string == "connect" }?["by"]?.string == "name")
    }
    let issued = try #require(component.client.issuedToken?())
    #expect(issued.utf8.count == 16)
    // The new token is valid for the next connection.
    try nucleus.do(#"{"do": "drop"}"#)
    while nucleus.count("publish") == 3 {
      do throws(IPCError) { try component.publish() } catch { #expect(error.isTransient) }
      try nucleus.catchUp()
    }
    #expect(nucleus.events.last { $0["event"]?.string == "connect" }?["by"]?.string == "token")
    #expect(component.log.allSatisfy { !$0.contains(issued) })
    var dumped = ""
    dump(component.client, to: &dumped)
    #expect(!dumped.contains(issued))
  }

  @Test func `replaces its token only if the nucleus rejects it, and gets none for another component's name`()
    throws
  {
    let nucleus = try FakeNucleus(
      .lite, configuration: configuration, arguments: ["--component-name", "the.component"])
    let component = Component(
      socketPath: nucleus.socketPath, token: "FEDCBA9876543210", name: "another.component")
    let error = try #require(throws: IPCError.self) { try component.publish(within: .milliseconds(700)) }
    #expect(error.description.contains("token (SVCUID)"))
    let own = Component(socketPath: nucleus.socketPath, name: "the.component")
    try own.publish()
    try nucleus.catchUp()
    #expect(nucleus.events.last { $0["event"]?.string == "connect" }?["by"]?.string == "token")
  }

  @Test func `receives its events on a new stream after the nucleus silently dropped the old one`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: configuration)
    let component = Component(nucleus)
    let accepted = component.client.subscribe(
      .subscribeToIoTCore(topicFilter: topic + "/#", qualityOfService: .atLeastOnce))
    try component.publish()
    try nucleus.do(#"{"do": "kill-subscriptions", "operations": ["SubscribeToIoTCore"]}"#)
    try nucleus.do(#"{"do": "deliver", "topic": "\#(topic)/accepted", "payload": "e30="}"#)
    #expect(
      component.client.serve(until: soon(.milliseconds(300)), orWhen: { accepted.hasEvents }) == .onTime)
    component.client.renew(accepted)
    #expect(component.client.serve(until: soon(), orWhen: { accepted.isActive }) == .condition)
    try nucleus.do(#"{"do": "deliver", "topic": "\#(topic)/accepted", "payload": "e30="}"#)
    #expect(component.client.serve(until: soon(), orWhen: { accepted.hasEvents }) == .condition)
    #expect(nucleus.count("connect") == 1)
    #expect(component.log.isEmpty)
  }

  @Test func `closes a connection on which a message was sent only in part`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    let component = Component(nucleus)
    try component.publish()
    // The answers to these pings fill the socket, and the nucleus doesn't read them until long after the client's time
    // limit.
    try nucleus.do(#"{"do": "stall", "seconds": 4, "pings": 40}"#)
    let start = BootTime.now
    while component.log.isEmpty, start.duration(to: .now) < .seconds(30) {
      _ = component.client.serve(until: soon(.milliseconds(100)))
    }
    #expect(component.log.first?.contains("stopped reading from the connection") == true)
    try component.publish()
    #expect(try nucleus.next("publish")["connection"] == .number("2"))
    try nucleus.catchUp()
    #expect(nucleus.count("malformed") == 0)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `reports each kind of error, and continues`(manner: FakeNucleus.Manner) throws {
    let nucleus = try FakeNucleus(manner, configuration: configuration)
    let component = Component(nucleus)
    let faults = [
      (
        #""fault": "refuse", "error": "ServiceError", "message": "the spooler is full""#,
        "ServiceError: the spooler is full"
      ),
      (#""fault": "text-error""#, "an error: InternalServerError"),
      (#""fault": "drop-before""#, "before its answer to PublishToIoTCore"),
      (#""fault": "drop-after""#, "before its answer to PublishToIoTCore"),
      (#""fault": "garbage""#, "lengths of an event stream message are damaged"),
      (#""fault": "restart""#, "before its answer to PublishToIoTCore"),
    ]
    for (fault, text) in faults {
      try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", \#(fault)}"#)
      let error = try #require(throws: IPCError.self) { try component.publish() }
      #expect(error.description.contains(text))
      #expect(error.isTransient)
      try component.publish()
    }
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `stops waiting in time, and doesn't mistake a late answer for another one`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try FakeNucleus(manner, configuration: configuration)
    let component = Component(nucleus)
    try component.publish()
    for fault in [#""fault": "mute""#, #""fault": "late", "seconds": 3"#] {
      try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", \#(fault)}"#)
      let start = BootTime.now
      let error = try #require(throws: IPCError.self) { try component.publish(within: .milliseconds(300)) }
      #expect(error == .timedOut(waitingFor: "its answer to PublishToIoTCore"))
      #expect(start.duration(to: .now) < .seconds(10))
      try component.publish()
    }
  }

  @Test func `returns at its deadline even if the nucleus never stops sending`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    let component = Component(nucleus)
    try component.publish()
    // The answer comes long after the deadline, after many other messages.
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", "fault": "flood", "seconds": 3}"#)
    let error = try #require(throws: IPCError.self) { try component.publish(within: .milliseconds(300)) }
    #expect(error == .timedOut(waitingFor: "its answer to PublishToIoTCore"))
    try component.publish()
  }

  @Test func `subscribes again on each new connection`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    let component = Component(nucleus)
    let accepted = component.client.subscribe(
      .subscribeToIoTCore(topicFilter: topic + "/#", qualityOfService: .atLeastOnce))
    try component.publish()
    try nucleus.do(#"{"do": "restart", "seconds": 2}"#)
    #expect(component.client.serve(until: soon(.milliseconds(50))) == .onTime)
    #expect(!accepted.isActive)
    #expect(component.client.serve(until: soon(), orWhen: { accepted.isActive }) == .condition)
    try nucleus.do(#"{"do": "deliver", "topic": "\#(topic)/accepted", "payload": "e30="}"#)
    #expect(component.client.serve(until: soon(), orWhen: { accepted.hasEvents }) == .condition)
    #expect(component.log.count >= 2)
    #expect(component.log.first?.contains("WARN") == true)
    #expect(component.log.last?.contains("Connected to the Greengrass nucleus again") == true)
  }

  @Test func `reconnects more and more slowly to a nucleus that ends each connection`() throws {
    let nucleus = try FakeNucleus(.classic)
    try nucleus.do(
      #"{"do": "fault", "operation": "SubscribeToConfigurationUpdate", "fault": "answer-and-drop", "count": 1000}"#
    )
    let client = IPCClient(
      socketPath: nucleus.socketPath, token: FakeNucleus.token, log: Log { _, _ in },
      time: SystemWaiter(shutdown: nil))
    _ = client.subscribe(.subscribeToConfigurationUpdate)
    let start = BootTime.now
    while nucleus.count("connect") < 5, start.duration(to: .now) < .seconds(60) {
      #expect(client.serve(until: soon(.milliseconds(100))) == .onTime)
      try nucleus.catchUp()
    }
    #expect(nucleus.count("connect") >= 5)
    // The waits are 0.25 s, 0.5 s, 1 s and 2 s, of which jitter removes up to half. There is no upper limit.
    #expect(start.duration(to: .now) >= .milliseconds(1_875))
  }

  @Test func `reports once that a subscription isn't allowed, and still publishes`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: configuration)
    let component = Component(nucleus)
    let refused = component.client.subscribe(
      .subscribeToIoTCore(topicFilter: "elsewhere", qualityOfService: .atLeastOnce))
    for _ in 0..<3 { try component.publish() }
    #expect(!refused.isActive)
    #expect(component.log.count == 1)
    #expect(component.log.first?.contains("SubscribeToIoTCore to elsewhere with UnauthorizedError") == true)
  }

  @Test func `retries a subscription that may be allowed by now`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: "{}")
    let component = Component(nucleus)
    let accepted = component.client.subscribe(
      .subscribeToIoTCore(topicFilter: "\(topic)/accepted", qualityOfService: .atLeastOnce))
    #expect(throws: IPCError.self) { try component.publish() }
    #expect(!accepted.isActive)
    try nucleus.do(#"{"do": "configure", "configuration": \#(configuration)}"#.filter { $0 != "\n" })
    try component.publish()
    #expect(!accepted.isActive)
    component.client.forgetRefusals()
    for _ in 0..<2 { try component.publish() }
    #expect(accepted.isActive)
  }

  @Test func `computes the longest payload that lite accepts, to the byte`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: configuration)
    let component = Component(nucleus)
    let longest = IPCRequest.maximumPublishPayload(topic: topic, messageLimit: IPCRequest.messageLimitOfLite)
    try component.publish(String(repeating: "x", count: longest))
    #expect(nucleus.count("too-long") == 0)
    let error = try #require(throws: IPCError.self) {
      try component.publish(String(repeating: "x", count: longest + 1))
    }
    guard case .disconnected = error else {
      Issue.record("\(error)")
      return
    }
    _ = try nucleus.next("too-long")
  }

  @Test func `connects by a relative path, and rejects a path that is too long for a socket`() throws {
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    var buffer = [CChar](repeating: 0, count: 4_096)
    let here = try #require(unsafe getcwd(&buffer, buffer.count).map { unsafe String(cString: $0) })
    let up = here.split(separator: "/").map { _ in ".." }.joined(separator: "/")
    try Component(socketPath: up + nucleus.socketPath).publish()
    let long = "/tmp/" + String(repeating: "d", count: 103)
    let error = try #require(throws: IPCError.self) {
      try Component(socketPath: long).publish(within: .milliseconds(100))
    }
    #expect(error == .pathTooLong(path: long))
    #expect(error.description.contains("108 bytes"))
  }

  @Test func `waits for a nucleus that hasn't started yet, until the deadline`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: configuration)
    try nucleus.do(#"{"do": "restart", "seconds": 2}"#)
    let component = Component(nucleus)
    let error = try #require(throws: IPCError.self) { try component.publish(within: .milliseconds(100)) }
    #expect(error.description.contains("can't be reached at \(nucleus.socketPath): No such file"))
    try component.publish()
    #expect(component.client.serve(until: .now) == .onTime)
  }

  @Test func `connects to a nucleus that starts late, even after many short attempts`() throws {
    let nucleus = try FakeNucleus(.lite, configuration: configuration)
    try nucleus.do(#"{"do": "restart", "seconds": 3}"#)
    let component = Component(nucleus)
    // If each of these calls doubled the wait for the next attempt, it would be far longer than the second that the calls
    // below allow.
    for _ in 0..<12 {
      #expect(throws: IPCError.self) { try component.publish(within: .milliseconds(1)) }
      #expect(component.client.serve(until: soon(.milliseconds(1))) == .onTime)
    }
    for _ in 0..<30 where nucleus.count("publish") == 0 {
      do throws(IPCError) { try component.publish(within: .seconds(1)) } catch { #expect(error.isTransient) }
      try? nucleus.catchUp()
    }
    #expect(nucleus.count("publish") > 0)
  }

  @Test func `stops immediately on request, but lets an answer in progress arrive`() throws {
    // The signal is sent only to this thread, which doesn't wait for it anywhere else.
    var before = sigset_t()
    unsafe sigprocmask(SIG_BLOCK, nil, &before)
    defer { unsafe sigprocmask(SIG_SETMASK, &before, nil) }
    let nucleus = try FakeNucleus(.classic, configuration: configuration)
    let shutdown = try ShutdownSignal()
    let component = Component(
      socketPath: nucleus.socketPath, time: SystemWaiter(shutdown: shutdown))
    try component.publish()
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", "fault": "late", "seconds": 0.05}"#)
    try nucleus.do(#"{"do": "fault", "operation": "PublishToIoTCore", "fault": "mute"}"#)
    pthread_kill(pthread_self(), SIGTERM)
    let start = BootTime.now
    #expect(component.client.serve(until: soon(.seconds(60))) == .shutdown)
    try component.publish()
    let error = try #require(throws: IPCError.self) { try component.publish(within: .seconds(60)) }
    #expect(error == .shutdown)
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test func `waits longer after each failure, up to half a minute`() {
    var backoff = IPCClient.reconnecting
    // Not the system's, which has no size: the thread sanitizer would look at an address that isn't its.
    var random = SeededRandom(seed: .random(in: 0...1_000_000))
    let delays = (0..<12).map { _ in backoff.next(using: &random) }
    #expect((.milliseconds(125)...Duration.milliseconds(250)).contains(delays[0]))
    #expect((.milliseconds(250)...Duration.milliseconds(500)).contains(delays[1]))
    #expect(delays.suffix(4).allSatisfy { (.seconds(15)...Duration.seconds(30)).contains($0) })
    backoff.reset()
    #expect(backoff.next(using: &random) <= .milliseconds(250))
  }

  @Test(arguments: [(FixedGenerator.lowest, 1.0), (.highest, 2.0)])
  func `draws its delays from the given generator`(generator: FixedGenerator, factor: Double) {
    var backoff = IPCClient.reconnecting
    var random = generator
    for delay in [0.125, 0.25, 0.5, 1, 2, 4, 8, 15, 15] {
      #expect(abs(backoff.next(using: &random).inSeconds - delay * factor) < 0.001)
    }
  }

  @Test func `waits between attempts and before retrying a subscription on the given clock`()
    throws
  {
    let nucleus = try FakeNucleus(.lite, configuration: "{}")
    let time = ManualTime()
    let component = Component(
      socketPath: nucleus.socketPath + "x", time: time, random: FixedGenerator.lowest)
    #expect(throws: IPCError.self) {
      try component.client.call(.getConfiguration, until: time.bootTime.advanced(by: .seconds(2)))
    }
    // The deadline ends the last wait.
    #expect(
      time.sleeps == [
        .milliseconds(125), .milliseconds(250), .milliseconds(500), .seconds(1), .milliseconds(125),
      ])

    let other = Component(socketPath: nucleus.socketPath, time: time)
    func call() throws {
      _ = try other.client.call(.getConfiguration, until: time.bootTime.advanced(by: .seconds(10)))
    }
    let accepted = other.client.subscribe(
      .subscribeToIoTCore(topicFilter: "\(topic)/accepted", qualityOfService: .atLeastOnce))
    try call()
    #expect(accepted.isRefused)
    try nucleus.do(#"{"do": "configure", "configuration": \#(configuration)}"#.filter { $0 != "\n" })
    time.advance(by: .seconds(299))
    try call()
    #expect(accepted.isRefused)
    time.advance(by: .seconds(1))
    try call()
    try call()
    #expect(accepted.isActive)
  }

  @Test func `exists only if a nucleus started the process`() {
    let log = Log { _, _ in }
    let socket = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
    for variables in [[:], ["SVCUID": "a"], [socket: "/s"], ["SVCUID": "", socket: "/s"]] {
      #expect(
        IPCClient(Environment(variables), componentName: nil, log: log, time: SystemWaiter(shutdown: nil))
          == nil)
    }
    let environment = Environment(["SVCUID": "a", socket: "/s"])
    #expect(IPCClient(environment, componentName: nil, log: log, time: SystemWaiter(shutdown: nil)) != nil)
  }

  @Test(arguments: [
    ("0::/system.slice/ggl.the.component.service\n", "the.component"),
    ("0::/ggl.a.service", "a"),
    ("12:pids:/user.slice\n1:name=systemd:/system.slice/ggl.a-B_1.service/sub\n0::/\n", "a-B_1"),
    ("0::/system.slice/ggl.core.ggipcd.service:x\n", nil),
    ("0::/system.slice/other.service\n", nil),
    ("0::/system.slice/ggl..service\n", nil), ("0::/ggl.service\n", nil), ("0::/ggl.a\n", nil),
    ("ggl.a.service", "a"), ("::", nil), ("", nil), ("\n\n", nil),
  ])
  func `knows its component's name from its control group`(text: String, name: String?) throws {
    #expect(ComponentIdentity.componentName(controlGroups: text) == name)
    let directory = try TemporaryDirectory()
    try directory.write("cgroup", text)
    #expect(ComponentIdentity.componentName(controlGroupFile: directory.path + "/cgroup") == name)
    #expect(ComponentIdentity.componentName(controlGroupFile: directory.path + "/none") == nil)
  }

  @Test(arguments: [
    ("the.component", "0::/ggl.another.service\n"),
    (nil, "0::/system.slice/ggl.the.component.service\n"),
  ])
  func `uses the name in its control group if it isn't given one`(
    name: String?, controlGroup: String
  ) throws {
    let nucleus = try FakeNucleus(
      .lite, configuration: configuration, arguments: ["--component-name", "the.component"])
    let directory = try TemporaryDirectory()
    try directory.write("cgroup", controlGroup)
    let environment = Environment([
      "SVCUID": "forgotten", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": nucleus.socketPath,
    ])
    let client = try #require(
      IPCClient(
        environment, componentName: name, controlGroupFile: directory.path + "/cgroup", log: Log { _, _ in },
        time: SystemWaiter(shutdown: nil)))
    _ = try client.call(.getConfiguration, until: soon())
    #expect(client.issuedToken != nil)
  }
}

@Suite struct `A subscription` {
  /// The size of each event, and how many of the newest are kept.
  @Test(arguments: [
    (10, 32), (5_000, 32), (8_192, 32), (8_193, 31), (100_000, 2), (262_144, 1), (262_145, 0),
  ])
  func `keeps the newest events if nothing reads them`(bytes: Int, kept: Int) {
    let subscription = IPCSubscription(.subscribeToConfigurationUpdate)
    for number in 0..<200 { subscription.append(.number("\(number)"), bytes: bytes) }
    #expect(subscription.takeEvents() == (200 - kept..<200).map { .number("\($0)") })
    #expect(!subscription.hasEvents)
    subscription.append(.null, bytes: 1)
    #expect(subscription.takeEvents() == [.null])
  }
}
