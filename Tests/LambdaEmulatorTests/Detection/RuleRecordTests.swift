import LambdaEmulator
import Platform
import Testing
import WireFormats

/// Tests of what the emulated rules of AWS IoT select.
struct `A rule of the local detection` {
  @Test(arguments: [
    ("device-defender/pump-7/metrics/json", "pump-7"), ("device-defender/pump-7/metrics/cbor", "pump-7"),
    ("$aws/rules/r/device-defender/a/metrics/cbor", "a"),
    ("$aws/things/pump-7/defender/metrics/json", "pump-7"),
    ("$aws/things/pump-7/defender/metrics/cbor", "pump-7"),
  ])
  func `selects reports`(topic: String, thing: String) { #expect(ReportTopic(topic)?.thing == thing) }

  @Test(arguments: [
    "", "/", "device-defender/pump-7/metrics", "device-defender/pump-7/metrics/json/accepted",
    "device-defender/pump-7/violations/json", "device-defender/pump-7/metrics/xml", "$aws/rules",
    "$aws/rules/r", "$aws/rules/r/x", "$aws/things/pump-7/defender/metrics/json/accepted",
    "$aws/things/pump-7/shadow/metrics/json", "defender/pump-7/violations", "/device-defender/a/metrics/json",
  ])
  func `selects nothing else`(topic: String) { #expect(ReportTopic(topic) == nil) }

  @Test(arguments: [
    (Array(#"{"thing":"b","timestamp":2}"#.utf8), "eyJ0aGluZyI6ImIiLCJ0aW1lc3RhbXAiOjJ9"), ([0xA0], "oA=="),
    ([], ""),
  ])
  func `encodes the payload, so that a device can't choose the thing`(payload: [UInt8], text: String) throws {
    let topic = try #require(ReportTopic("device-defender/a/metrics/json"))
    let record = RuleRecord(payload, topic, at: WallTime(secondsSinceEpoch: 7))
    #expect(
      String(decoding: record.body, as: UTF8.self) == #"{"payload":"\#(text)","thing":"a","timestamp":7000}"#)
  }
}
