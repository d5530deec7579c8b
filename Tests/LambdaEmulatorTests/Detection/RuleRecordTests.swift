import LambdaEmulator
import Platform
import Testing
import WireFormats

/// Tests of what the emulated rules of AWS IoT select.
struct `A rule of the local detection` {
  @Test(arguments: [
    ("device-defender/pump-7/metrics/json", "pump-7", false),
    ("device-defender/pump-7/metrics/cbor", "pump-7", true),
    ("$aws/rules/r/device-defender/a/metrics/cbor", "a", true),
    ("$aws/things/pump-7/defender/metrics/json", "pump-7", false),
    ("$aws/things/pump-7/defender/metrics/cbor", "pump-7", true),
  ])
  func `selects reports`(topic: String, thing: String, isCBOR: Bool) {
    let parsed = ReportTopic(topic)
    #expect(parsed?.thing == thing && parsed?.isCBOR == isCBOR)
  }

  @Test(arguments: [
    "", "/", "device-defender/pump-7/metrics", "device-defender/pump-7/metrics/json/accepted",
    "device-defender/pump-7/violations/json", "device-defender/pump-7/metrics/xml", "$aws/rules",
    "$aws/rules/r", "$aws/rules/r/x", "$aws/things/pump-7/defender/metrics/json/accepted",
    "$aws/things/pump-7/shadow/metrics/json", "defender/pump-7/violations", "/device-defender/a/metrics/json",
  ])
  func `selects nothing else`(topic: String) { #expect(ReportTopic(topic) == nil) }

  @Test func `adds the thing and the time, and a device can't choose them`() throws {
    let topic = try #require(ReportTopic("device-defender/a/metrics/json"))
    let time = WallTime(secondsSinceEpoch: 7)
    let record = try #require(RuleRecord(Array(#"{"thing":"b","x":1,"timestamp":2}"#.utf8), topic, at: time))
    #expect(String(decoding: record.body, as: UTF8.self) == #"{"x":1,"thing":"a","timestamp":7000}"#)
    for payload in ["", "[]", "1", "{"] { #expect(RuleRecord(Array(payload.utf8), topic, at: time) == nil) }
  }

  @Test func `encodes CBOR in Base64`() throws {
    let topic = try #require(ReportTopic("device-defender/a/metrics/cbor"))
    let record = try #require(RuleRecord([0xA0], topic, at: WallTime(secondsSinceEpoch: 7)))
    #expect(String(decoding: record.body, as: UTF8.self) == #"{"cbor":"oA==","thing":"a","timestamp":7000}"#)
  }
}
