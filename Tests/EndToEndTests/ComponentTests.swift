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
