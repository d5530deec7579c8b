import Platform
import TestSupport
import Testing
import WireFormats

private let configuration = """
  {"SampleIntervalSeconds": 0.1, "MinimumIntervalSeconds": 0.1, "accessControl": {
    "aws.greengrass.ipc.mqttproxy": {"policy": {"operations": ["*"],
      "resources": ["$aws/things/*/defender/metrics/*"]}}}}
  """

/// Tests of `bootstrap` as a component of a fake nucleus. Longer tests are in Tests/Conformance/greengrass.
private func nucleus(_ manner: FakeNucleus.Manner, _ configuration: String = configuration) throws
  -> FakeNucleus
{
  try FakeNucleus(
    manner, configuration: configuration,
    arguments: ["--confirm", "accepted", "--run", try BuiltProgram("bootstrap").path],
    environment: ["AWS_IOT_THING_NAME": "t1", "AWS_REGION": "eu-central-1"])
}

private func report(_ event: JSONValue) throws -> JSONValue {
  try JSONValue(parsing: try #require(event["payload"]?.string.flatMap(base64Decoding)))
}

@Suite(.ownThreads) struct `bootstrap as a Greengrass component` {
  @Test(arguments: FakeNucleus.Manner.allCases)
  func `reports deltas from the second report on, and stops on request`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try nucleus(manner)
    try nucleus.do(#"{"do": "start"}"#)
    let first = try nucleus.next("publish")
    #expect(first["topic"]?.string == "$aws/things/t1/defender/metrics/json")
    #expect(try report(first)["metrics"]?["network_stats"] == nil)
    #expect(try report(nucleus.next("publish"))["metrics"]?["network_stats"] != nil)
    // The nucleus logs standard error as warnings, and there was nothing to warn about.
    #expect(nucleus.events.allSatisfy { $0["level"]?.string != "WARN" })
    try nucleus.do(#"{"do": "stop"}"#)
    #expect(try nucleus.next("exited")["status"] == .number("0"))
    #expect(nucleus.count("killed") == 0)
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `applies a new configuration while it runs, and keeps the old one if the new one is invalid`(
    manner: FakeNucleus.Manner
  ) throws {
    let nucleus = try nucleus(manner)
    try nucleus.do(#"{"do": "start"}"#)
    _ = try nucleus.next("publish")
    let short = configuration.dropFirst()
    try nucleus.do(#"{"do": "configure", "configuration": {"ReportNames": "short", \#(oneLine(short))}"#)
    while try report(nucleus.next("publish"))["hed"] == nil {}
    try nucleus.do(#"{"do": "configure", "configuration": {"ReportNames": "tiny", \#(oneLine(short))}"#)
    while try nucleus.next("log")["line"]?.string?.contains("ReportNames is 'tiny'; allowed: long, short")
      != true
    {}
    #expect(try report(nucleus.next("publish"))["hed"] != nil)
    #expect(nucleus.count("started") == 1)
    #expect(nucleus.count("exited") == 0)
  }

  @Test func `outlives a nucleus that goes away and comes back`() throws {
    let nucleus = try nucleus(.lite)
    try nucleus.do(#"{"do": "start"}"#)
    _ = try nucleus.next("publish")
    try nucleus.do(#"{"do": "restart", "seconds": 0.5}"#)
    #expect(try nucleus.next("publish")["connection"] != .number("1"))
    #expect(nucleus.count("exited") == 0)
  }

  private func oneLine(_ text: Substring) -> String { text.split(separator: "\n").joined(separator: " ") }
}

@Suite(.ownThreads) struct `bootstrap as a Greengrass component with commands` {
  private static let configuration = """
    {"SampleIntervalSeconds": 3600, "MinimumIntervalSeconds": 0.001, "CommandTopic": "defender/{thing}/command",
      "accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": {"operations": ["*"],
        "resources": ["$aws/things/*/defender/metrics/*", "defender/*"]}}}}
    """

  private func command(_ text: String, _ nucleus: FakeNucleus) throws {
    let payload = base64(Array(text.utf8))
    try nucleus.do(#"{"do": "deliver", "topic": "defender/t1/command", "payload": "\#(payload)"}"#)
  }

  /// Waits for the next message to `topic`.
  private func message(to topic: String, _ nucleus: FakeNucleus) throws -> JSONValue {
    while true {
      let event = try nucleus.next("publish")
      if event["topic"]?.string == topic { return try report(event) }
    }
  }

  @Test(arguments: FakeNucleus.Manner.allCases)
  func `reports when a command arrives, and responds`(manner: FakeNucleus.Manner) throws {
    let nucleus = try nucleus(manner, Self.configuration)
    try nucleus.do(#"{"do": "start"}"#)
    let metrics = "$aws/things/t1/defender/metrics/json"
    _ = try message(to: metrics, nucleus)
    try nucleus.waitForSubscription(to: "defender/t1/command")
    // A command that arrives before the first report is settled is too early.
    var response = JSONValue.null
    for id in ["1", "2", "3"] where response["status"] != .string("accepted") {
      try command(#"{"command":"report","id":"\#(id)"}"#, nucleus)
      response = try message(to: "defender/t1/command/response", nucleus)
      #expect(response["id"] == .string(id))
    }
    #expect(response["status"] == .string("accepted"), "\(response)")
    let reports = try nucleus.events.filter {
      $0["topic"]?.string == metrics && $0["event"]?.string == "publish"
    }
    .map { try report($0)["header"]?["report_id"] }
    #expect(reports.count == 2 && reports.last == response["reportId"])
    #expect(nucleus.count("exited") == 0)
  }

  @Test func `changes its interval`() throws {
    let nucleus = try nucleus(.lite, Self.configuration)
    try nucleus.do(#"{"do": "start"}"#)
    let metrics = "$aws/things/t1/defender/metrics/json"
    _ = try message(to: metrics, nucleus)
    try nucleus.waitForSubscription(to: "defender/t1/command")
    try command(#"{"command":"interval","seconds":0.2}"#, nucleus)
    #expect(try message(to: "defender/t1/command/response", nucleus)["intervalSeconds"]?.double == 0.2)
    for _ in 0..<3 { _ = try message(to: metrics, nucleus) }
  }

  @Test func `rejects them with another transport`() throws {
    let other = Self.configuration.dropFirst().split(separator: "\n").joined(separator: " ")
    let nucleus = try nucleus(
      .lite, #"{"Transport": "mqtt", "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1", \#(other)"#)
    try nucleus.do(#"{"do": "start"}"#)
    while try nucleus.next("log")["line"]?.string?.contains(
      "CommandTopic is set, but a Greengrass component receives commands only with the transport greengrass, not mqtt"
    )
      != true
    {}
  }
}

extension FakeNucleus {
  /// Waits until the component has subscribed to `topic`.
  fileprivate func waitForSubscription(to topic: String) throws {
    let isSubscribed = {
      self.events.contains { $0["event"]?.string == "subscribe" && $0["topic"]?.string == topic }
    }
    while !isSubscribed() { _ = try next("subscribe") }
  }
}
