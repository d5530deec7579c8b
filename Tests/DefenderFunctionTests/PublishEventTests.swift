import DefenderAgent
import DefenderFunction
import DeviceDefender
import LambdaRuntime
import Platform
import TestSupport
import Testing

@Suite struct `An event of function_handler` {
  @Test(arguments: ["", "{}", " {\n} "])
  func `an empty event means the defaults`(text: String) throws {
    #expect(try ReportPlan(event: Array(text.utf8)) == ReportPlan())
  }

  @Test func `reads every key`() throws {
    let text = #"{"reports":2,"interval_seconds":0.5,"format":"cbor","names":"short","dry_run":true}"#
    let event = try ReportPlan(event: Array(text.utf8))
    #expect(event.reports == 2)
    #expect(event.interval == .milliseconds(500))
    #expect(event.format == .cbor)
    #expect(event.names == .short)
    #expect(event.isDryRun)
  }

  @Test(arguments: [
    ("[]", "an array"), ("null", "null"), ("1", "a number"), ("{", "not JSON at byte 1"),
    ("{\"a\":1}", "'a'"),
    (#"{"reports":1,"reports":2}"#, "duplicate member 'reports'"), (#"{"Reports":1}"#, "'Reports'"),
    (#"{"reports":0}"#, "'reports' is 0"), (#"{"reports":-1}"#, "'reports' is -1"),
    (#"{"reports":1.5}"#, "'reports' is 1.5"), (#"{"reports":"1"}"#, "'reports' is \"1\""),
    (#"{"reports":1000001}"#, "'reports' is 1000001"), (#"{"reports":99999999999999999999}"#, "'reports'"),
    (#"{"reports":null}"#, "'reports' is null"),
    (#"{"interval_seconds":0}"#, "'interval_seconds' is 0"), (#"{"interval_seconds":-3}"#, "-3"),
    (#"{"interval_seconds":1e400}"#, "'interval_seconds'"), (#"{"interval_seconds":604801}"#, "604801"),
    (#"{"interval_seconds":"300"}"#, "'interval_seconds'"), (#"{"format":"xml"}"#, "\"json\" or \"cbor\""),
    (#"{"format":1}"#, "'format'"), (#"{"names":"LONG"}"#, "\"long\" or \"short\""),
    (#"{"dry_run":"yes"}"#, "true or false"), (#"{"dry_run":0}"#, "true or false"),
  ])
  func `rejects what it doesn't understand, and names it`(text: String, part: String) throws {
    let failure = try #require(
      #expect(throws: InvocationFailure.self) { try ReportPlan(event: Array(text.utf8)) })
    #expect(failure.type == "Function.InvalidEvent")
    #expect(failure.message.contains(part))
  }

  @Test(arguments: [("0.001", 1), ("0.0011", 2), ("604800", 604_800_000)])
  func `rounds an interval up to whole milliseconds`(text: String, milliseconds: Int64) throws {
    let event = try ReportPlan(event: Array("{\"interval_seconds\":\(text)}".utf8))
    #expect(event.interval == .milliseconds(milliseconds))
  }

  @Test(arguments: ["two-reports", "cbor-short-names", "dry-run"])
  func `accepts the sample events`(name: String) throws {
    let bytes = try readFile(fixturePath("../../lambda/events/\(name).json"), limit: 1_000)
    #expect(try ReportPlan(event: bytes) != ReportPlan())
  }

  @Test func `quotes only the beginning of a long value`() throws {
    let text = "{\"format\":\"\(String(repeating: "x", count: 100_000))\"}"
    let failure = try #require(
      #expect(throws: InvocationFailure.self) { try ReportPlan(event: Array(text.utf8)) })
    #expect(failure.message.utf8.count < 300)
  }
}
