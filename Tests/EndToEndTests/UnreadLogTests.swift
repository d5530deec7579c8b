import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built programs if nobody reads their log, so that its pipe is full.
@Suite(.ownThreads) struct `A log that nobody reads` {
  private let directory: TemporaryDirectory
  private let pipe: UnreadPipe

  init() throws {
    directory = try TemporaryDirectory()
    pipe = try UnreadPipe(in: directory)
  }

  private func end(_ program: ServerProgram) {
    program.terminate()
    let end = BootTime.now.advanced(by: .seconds(60))
    while program.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    #expect(program.waitStatus == 0)
  }

  /// Reads the log until it reports the number of lost lines.
  private func expectCount() throws {
    var log = ""
    #expect(try pipe.read(&log) { $0.contains("log lines: nobody read the log.\n") }, "\(log)")
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `blocks neither the agent's reports nor its shutdown, and later reports lost lines`(name: String)
    throws
  {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    defer { responder.stop() }
    let agent = try ServerProgram(
      try BuiltProgram(name).path, ["agent"],
      environment: [
        "DEFENDER_THING_NAME": "pump-7", "SAMPLE_INTERVAL_SECONDS": "0.1",
        "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.01", "DEFENDER_JITTER": "0",
        "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(broker.plainPort)",
        "AWS_EC2_METADATA_DISABLED": "true",
      ], log: pipe.path)
    #expect(responder.waitForReports(3))
    try expectCount()
    pipe.fill()
    #expect(responder.waitForReports(responder.reports.count + 3))
    end(agent)
  }

  @Test func `blocks neither the component's reports nor its shutdown, and later reports lost lines`() throws
  {
    let component = try BuiltComponent(log: pipe.path)
    let nucleus = component.nucleus
    for _ in 1...3 { _ = try nucleus.next("publish") }
    try expectCount()
    pipe.fill()
    for _ in 1...3 { _ = try nucleus.next("publish") }
    end(component.program)
  }

  @Test(arguments: ["bootstrap", "echo-function"])
  func `blocks neither a function's responses nor its shutdown, and later reports lost lines`(name: String)
    throws
  {
    // Each invocation fails and so logs a line.
    let deadline = WallTime.now.advanced(by: .seconds(3_600)).nanosecondsSinceEpoch / 1_000_000
    let event = LoopbackServer.Reply.response(
      200, [("Lambda-Runtime-Aws-Request-Id", "a"), ("Lambda-Runtime-Deadline-Ms", "\(deadline)")],
      body: name == "bootstrap" ? #"{"reports":"x"}"# : #"{"fail":1}"#)
    let server = try LoopbackServer { $0.method == "GET" ? event : .response(202, body: "{}") }
    let function = try ServerProgram(
      try BuiltProgram(name).path, [],
      environment: [
        "AWS_LAMBDA_RUNTIME_API": server.authority, "AWS_REGION": "us-east-1", "AWS_IOT_THING_NAME": "t",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://127.0.0.1:1",
      ], log: pipe.path)
    #expect(server.requests(atLeast: 20).count >= 20)
    try expectCount()
    pipe.fill()
    let count = server.requests.count
    #expect(server.requests(atLeast: count + 20).count >= count + 20)
    end(function)
  }

  @Test func `doesn't prevent a signal from ending a function`() throws {
    let event = LoopbackServer.Reply.response(
      200, [("Lambda-Runtime-Aws-Request-Id", "a"), ("Lambda-Runtime-Deadline-Ms", "4000000000000")],
      body: #"{"sleep":600000}"#)
    let server = try LoopbackServer { $0.method == "GET" ? event : .response(202, body: "{}") }
    let function = try ServerProgram(
      try BuiltProgram("echo-function").path, [],
      environment: ["AWS_LAMBDA_RUNTIME_API": server.authority, "SWIFT_BACKTRACE": "enable=no"],
      log: pipe.path)
    #expect(server.requests(atLeast: 1).count == 1)
    // The handlers are installed before the first request.
    function.send(SIGABRT)
    let end = BootTime.now.advanced(by: .seconds(60))
    while function.isRunning, BootTime.now < end { poll(nil, 0, 5) }
    #expect(function.waitStatus.map { $0 & 0x7F } == SIGABRT)
  }
}
