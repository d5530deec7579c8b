import DefenderFunction
import FleetDetection
import LambdaRuntime
import Platform
import TestSupport
import Testing
import WireFormats

struct `detect_handler` {
  private static let profile = """
    {"securityProfileName":"ports","behaviors":[{"name":"open","metric":"aws:listening-tcp-ports",
    "criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22,443]}}}]}
    """
  private static let violating =
    #"{"header":{"report_id":1700000001},"metrics":{"listening_tcp_ports":{"ports":[{"port":8080}]}},"thing":"pump-1"}"#

  /// Runs one invocation. Returns the response, the events and the lines of metrics.
  private func invoke(
    _ event: String, _ store: MemoryStore = MemoryStore(), remaining: Duration = .seconds(30)
  ) throws -> (response: String, events: [String], metrics: [String], log: [String]) {
    let time = ManualTime()
    let recorded = RecordedLog()
    let log = recorded.log()
    let catalog = ProfileCatalog(
      files: { [.success(ProfileDocument(name: "p", text: Array(Self.profile.utf8)))] }, store: nil,
      time: time,
      log: log)
    let delivery = TypesOfEvents()
    let lines = RecordedLines()
    var handler = DetectHandler(
      FleetDetector(store, delivery, catalog, time: time, log: log), function: "f", time: time, log: log
    ) { lines.lines.append(String(decoding: $0, as: UTF8.self)) }
    let context = try Context(requestID: "id", deadline: time.wallTime.advanced(by: remaining))
    let response = try handler.handle(Event(Array(event.utf8)), context)
    return (String(decoding: response.body, as: UTF8.self), delivery.types, lines.lines, recorded.lines)
  }

  private func quoted(_ text: String) -> String {
    var document = JSONWriter()
    document.string(text)
    return String(decoding: document.bytes, as: UTF8.self)
  }

  @Test func `answers a batch of SQS with the ids of the records that failed`() throws {
    let result = try invoke(
      #"{"Records":[{"eventSource":"aws:sqs","messageId":"good","body":\#(quoted(Self.violating))},"#
        + #"{"eventSource":"aws:sqs","messageId":"poison","body":"{"}]}"#)
    #expect(result.response == #"{"batchItemFailures":[{"itemIdentifier":"poison"}]}"#)
    #expect(result.events == ["in-alarm"])
    #expect(result.metrics.count == 2)
  }

  @Test func `counts malformed records of Kinesis, and doesn't stop the stream with them`() throws {
    let data = base64(Array(Self.violating.utf8))
    let result = try invoke(
      #"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"7","data":"\#(data)"}},"#
        + #"{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"8","data":"*"}}]}"#)
    #expect(result.response == #"{"batchItemFailures":[]}"#)
    #expect(result.events == ["in-alarm"])
    #expect(try JSONValue(parsing: Array(result.metrics[0].utf8))["ReportsMalformed"]?.integer() == 1)
    #expect(result.log.contains { $0.includes("ERROR") && $0.includes("The record 8 can't be evaluated") })
  }

  @Test func `answers a batch of Kinesis with the sequence numbers that the store failed for`() throws {
    let data = base64(Array(Self.violating.utf8))
    let result = try invoke(
      #"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"7","data":"\#(data)"}}]}"#,
      remaining: .seconds(1))
    #expect(result.response == #"{"batchItemFailures":[{"itemIdentifier":"7"}]}"#)
  }

  @Test func `evaluates the report that a rule passes`() throws {
    #expect(try invoke(Self.violating).events == ["in-alarm"])
    #expect(throws: InvocationFailure.self) { try invoke(#"{"thing":"pump-1"}"#) }
  }

  @Test func `takes a batch or a sweep that a device sent as its report`() throws {
    let record = #"{"eventSource":"aws:sqs","messageId":"1","body":\#(quoted(Self.violating))}"#
    for member in [#""Records":[\#(record)]"#, #""sweep":true"#] {
      // A rule adds the thing.
      #expect(throws: InvocationFailure.self) { try invoke("{\(member),\"thing\":\"pump-2\"}") }
    }
  }

  @Test func `sweeps`() throws {
    let result = try invoke(#"{"sweep":true}"#)
    #expect(result.response == "{}" && result.metrics.count == 1)
  }

  @Test(arguments: [
    "", "[]", "7", #"{"Records":[{}]}"#, #"{"Records":[{"eventSource":"aws:s3"}]}"#,
    #"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#, #"{"Records":[{"eventSource":"aws:kinesis"}]}"#,
  ])
  func `rejects events of other kinds`(event: String) {
    let failure = #expect(throws: InvocationFailure.self) { try invoke(event) }
    #expect(failure?.type == "Function.InvalidEvent")
  }
}

private final class TypesOfEvents: EventDelivery {
  private(set) var types: [String] = []

  func deliver(_ entry: OutboxEntry, until deadline: BootTime) throws(DeliveryError) {
    types += [HistoryEvent(entry.event)?.type ?? ""]
  }
}

private final class RecordedLines {
  var lines: [String] = []
}
