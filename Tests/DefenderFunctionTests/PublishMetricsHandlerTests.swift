import AgentTestSupport
import DefenderAgent
import DefenderFunction
import HTTPClient
import LambdaRuntime
import Platform
import TestSupport
import Testing
import WireFormats

/// A handler over a separate procfs tree; the test controls everything around it.
private struct Stage: ~Copyable {
  let time = ManualTime(wallTime: WallTime(secondsSinceEpoch: 1_700_000_000))
  let publisher: ScriptedPublisher
  private let procfs: TemporaryDirectory
  var handler: PublishMetricsHandler

  init(_ variables: [String: String] = [:]) throws {
    let procfs = try TemporaryDirectory()
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    // The origin of the counters in a saved state.
    try procfs.write("net/dev", "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n")
    try procfs.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
    var environment = [
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "thing", "PROCFS_PATH": procfs.path,
      "DEFENDER_TOPIC": "defender/{thing}/{format}",
    ]
    environment.merge(variables) { _, given in given }
    let configuration = try Configuration(Environment(environment))
    self.procfs = procfs
    publisher = ScriptedPublisher(time: time)
    handler = PublishMetricsHandler(
      ReportLoop(configuration, publisher: publisher, time: time, log: Log { _, _ in }), time: time)
  }

  mutating func invoke(_ event: String, seconds: Int64 = 900) throws -> JSONValue {
    let deadline = time.wallTime.advanced(by: .seconds(seconds))
    let context = try Context(requestID: "id", deadline: deadline)
    let response = try handler.handle(Event(Array(event.utf8)), context)
    return try JSONValue(parsing: response.body)
  }
}

@Suite struct `An invocation of function_handler` {
  @Test func `responds with the outcome of the loop`() throws {
    var stage = try Stage()
    stage.publisher.acknowledgements = [true, false]
    let answer = try stage.invoke(#"{"reports":2}"#)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    #expect(answer["failed"]?.integer(as: Int.self) == 1)
    #expect(answer["last_report_id"]?.integer(as: Int.self) == 1_700_000_000)
    #expect(answer["last_error"]?.string?.contains("made up") == true)
    #expect(answer["topic"]?.string == "defender/thing/json")
    #expect(answer["transport"]?.string == "https")
    #expect(answer["ended"]?.string == "reports")
    // Device Defender doesn't answer on this topic.
    #expect(answer["accepted"] == nil && answer["rejected"] == nil && answer["unanswered"] == nil)
    #expect(answer["report"] == nil)
    stage.publisher.confirmations = [.accepted]
    let confirmed = try stage.invoke(#"{"reports":1}"#)
    #expect(confirmed["accepted"]?.integer(as: Int.self) == 1)
    #expect(confirmed["unanswered"]?.integer(as: Int.self) == 0)
  }

  @Test func `responds with the number of reports in the spool, and publishes them in the next invocation`()
    throws
  {
    let state = try TemporaryDirectory()
    var stage = try Stage(["DEFENDER_STATE_DIRECTORY": state.path, "DEFENDER_SPOOL_BYTES": "65536"])
    stage.publisher.acknowledgements = [true, false, false]
    let answer = try stage.invoke(#"{"reports":3}"#)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    #expect(answer["failed"]?.integer(as: Int.self) == 2)
    #expect(answer["waiting"]?.integer(as: Int.self) == 2)
    let next = try stage.invoke(#"{"reports":1}"#, seconds: 30)
    #expect(next["published"]?.integer(as: Int.self) == 3)
    #expect(next["waiting"] == nil && next["dropped"] == nil)
    #expect(stage.publisher.reportIDs.suffix(3) == stage.publisher.reportIDs.suffix(3).sorted()[...])
  }

  @Test func `responds to a dry run with the report, as JSON or as the Base64 of CBOR`() throws {
    var stage = try Stage()
    let answer = try stage.invoke(#"{"reports":1,"dry_run":true}"#)
    #expect(answer["report"]?["header"]?["report_id"]?.integer(as: Int.self) == 1_700_000_000)
    let binary = try stage.invoke(#"{"reports":1,"dry_run":true,"format":"cbor"}"#)
    let report = try #require(binary["report"]?.string.flatMap(base64Decoding))
    // A map of two members (RFC 8949, section 3.1).
    #expect(report.first == 0xA2)
    #expect(stage.publisher.payloads.isEmpty)
  }

  @Test func `fails if nothing was published, and reports why`() throws {
    var stage = try Stage(["DEFENDER_MINIMUM_INTERVAL_SECONDS": "1"])
    stage.publisher.acknowledgements = [false, false]
    let failure = #expect(throws: InvocationFailure.self) {
      try stage.invoke(#"{"reports":2,"interval_seconds":1}"#)
    }
    #expect(failure?.type == "Function.PublishFailed")
    #expect(failure?.message.contains("2 failed") == true)
    #expect(failure?.message.contains("made up") == true)
  }

  @Test func `reports before any deadline, however near`() throws {
    var stage = try Stage()
    let answer = try stage.invoke("{}", seconds: 5)
    #expect(answer["published"]?.integer(as: Int.self) == 1)
    #expect(answer["ended"]?.string == "deadline")
  }

  @Test func `fails immediately if the deadline has passed`() throws {
    var stage = try Stage()
    let failure = #expect(throws: InvocationFailure.self) { try stage.invoke("{}", seconds: -10) }
    #expect(failure?.type == "Function.PublishFailed")
    #expect(failure?.message.contains("longer timeout") == true)
    #expect(stage.publisher.payloads.isEmpty)
  }

  @Test func `stops on request, and responds`() throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.time.shutdown = stage.time.bootTime.advanced(by: .seconds(400))
    let answer = try stage.invoke("{}", seconds: 9_000)
    #expect(answer["ended"]?.string == "signal")
    #expect(answer["published"]?.integer(as: Int.self) == 2)
  }

  @Test func `responds if it is asked to stop before the first report`() throws {
    var stage = try Stage()
    stage.time.shutdown = stage.time.bootTime
    let answer = try stage.invoke("{}")
    #expect(answer["ended"]?.string == "signal")
    #expect(answer["published"]?.integer(as: Int.self) == 0)
    #expect(answer["last_error"] == nil)
  }

  // Reports are due at 0, 300, 600 and 900 s; 0.5 s are kept free for the answer.
  @Test(arguments: [(900.4, 0.1, 3), (901.4, 0.1, 3), (901.6, 0.1, 4), (904, 5, 3), (905.6, 5, 4)])
  func `starts no report without enough time before the deadline`(
    deadline: Double, timeTaken: Double, reports: Int
  ) throws {
    var stage = try Stage(["DEFENDER_JITTER": "0"])
    stage.publisher.timeTaken = .milliseconds(Int64(timeTaken * 1_000))
    let context = try Context(
      requestID: "id", deadline: stage.time.wallTime.advanced(by: .milliseconds(Int64(deadline * 1_000))))
    _ = try stage.handler.handle(Event([]), context)
    #expect(stage.publisher.payloads.count == reports)
  }

  @Test func `rejects an invalid event before it does anything`() throws {
    var stage = try Stage()
    #expect(throws: InvocationFailure.self) { try stage.invoke(#"{"report":1}"#) }
    #expect(stage.publisher.payloads.isEmpty)
    #expect(stage.time.wakeUps.isEmpty)
  }
}
