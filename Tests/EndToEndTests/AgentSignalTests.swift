import Glibc
import Platform
import TestSupport
import Testing

/// Tests of signals that end a program by default, sent to the built programs while they report.
@Suite(.ownThreads) final class `Signals that don't end the agent` {
  private let directory: TemporaryDirectory
  private let broker: MosquittoBroker
  private let responder: DeviceDefenderResponder

  init() throws {
    directory = try TemporaryDirectory()
    broker = try MosquittoBroker()
    responder = try DeviceDefenderResponder(port: broker.plainPort)
  }

  deinit { responder.stop() }

  private func environment(_ more: [String: String] = [:]) -> [String: String] {
    [
      "DEFENDER_THING_NAME": "pump-7", "SAMPLE_INTERVAL_SECONDS": "0.1",
      "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.01", "DEFENDER_JITTER": "0",
      "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:\(broker.plainPort)",
      "AWS_EC2_METADATA_DISABLED": "true",
    ].merging(more) { $1 }
  }

  private var logFile: String { "\(directory.path)/log" }
  private var log: String { String(decoding: (try? fileContents(logFile)) ?? [], as: UTF8.self) }

  private func logLines(with words: String) -> Int {
    log.split(separator: "\n").count { $0.contains(words) }
  }

  /// Waits for `condition`. Records an issue if it doesn't hold within a minute.
  private func wait(for condition: () -> Bool) {
    let end = BootTime.now.advanced(by: .seconds(60))
    while !condition(), BootTime.now < end { poll(nil, 0, 5) }
    #expect(condition(), "\(log)")
  }

  private func expectMoreReports() {
    #expect(responder.waitForReports(responder.reports.count + 3), "\(log)")
  }

  private func end(_ program: ServerProgram) {
    program.terminate()
    wait { !program.isRunning }
    #expect(program.waitStatus == 0, "\(log)")
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `SIGHUP makes the agent read the certificate and key again, but keep them until they match`(
    name: String
  ) throws {
    let agent = try ServerProgram(
      try BuiltProgram(name).path, ["agent"],
      environment: environment([
        "DEFENDER_MQTT_ENDPOINT": "localhost:\(broker.tlsPort)",
        "AWS_CA_BUNDLE": broker.authority.certificateFile,
        "DEFENDER_CERTIFICATE_FILE": broker.device.certificateFile,
        "DEFENDER_PRIVATE_KEY_FILE": broker.device.keyFile,
      ]), log: logFile)
    expectMoreReports()
    // The open connection no longer needs the file.
    try FileDescriptor(
      owning: try retryingOnInterrupt { unsafe open(broker.device.certificateFile, O_WRONLY | O_TRUNC) }
    ).writeAll(Array("no certificate\n".utf8))
    expectMoreReports()
    #expect(!log.contains("[ERROR]"))
    agent.send(SIGHUP)
    wait { logLines(with: "Kept the former certificate and key") >= 1 }
    expectMoreReports()
    // Another certificate and key under the same names.
    _ = try broker.authority.issue("device", names: "DNS:device")
    agent.send(SIGHUP)
    wait { logLines(with: "Read the renewed certificate") == 1 }
    expectMoreReports()
    end(agent)
    #expect(logLines(with: "Received SIGHUP") == 2)
    #expect(!log.contains("[ERROR]"))
  }

  @Test func `SIGHUP interrupts neither HTTPS nor the wait for the next report`() throws {
    let server = try LoopbackServer { _ in .response(200, body: "{}") }
    let agent = try ServerProgram(
      try BuiltProgram("bootstrap").path, ["agent"],
      environment: environment([
        "DEFENDER_TRANSPORT": "https", "DEFENDER_TOPIC": "own/{thing}", "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://\(server.authority)", "SAMPLE_INTERVAL_SECONDS": "1",
      ]), log: logFile)
    try #require(server.requests(atLeast: 1).count >= 1, "\(log)")
    let start = BootTime.now
    for count in 1...20 {
      agent.send(SIGHUP)
      wait { logLines(with: "Received SIGHUP") == count }
    }
    // If the signal ended the wait, each signal would have caused a report.
    let seconds = start.duration(to: .now).inSeconds
    #expect(Double(server.requests.count) <= seconds + 3)
    let count = server.requests.count
    #expect(server.requests(atLeast: count + 2).count >= count + 2)
    // Without the signal, they would all use the same connection.
    let connections = server.requests.map(\.connection)
    #expect(connections.first != connections.last)
    end(agent)
    #expect(!log.contains("[ERROR]"))
  }

  @Test func `SIGHUP doesn't end the component`() throws {
    let component = try BuiltComponent(log: logFile)
    let nucleus = component.nucleus
    _ = try nucleus.next("publish")
    component.program.send(SIGHUP)
    wait { logLines(with: "Received SIGHUP, which has no effect") == 1 }
    for _ in 1...3 { _ = try nucleus.next("publish") }
    #expect(nucleus.count("connect") == 1)
    end(component.program)
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `SIGHUP ends the agent when its terminal was closed`(name: String) async throws {
    let terminal = try PseudoTerminal()
    let program = try BuiltProgram(name)
    try terminal.start(program, ["agent"], environment: environment())
    expectMoreReports()
    terminal.send(SIGHUP)
    try terminal.read { $0.contains("Received SIGHUP") }
    expectMoreReports()
    try terminal.hangUp()
    #expect(try terminal.wait() == 0)
  }

  @Test func `a closed terminal doesn't end the agent that ignores SIGHUP`() async throws {
    let terminal = try PseudoTerminal()
    // Like nohup, except for the name of the file.
    let script = "trap '' HUP; exec \"$0\" agent >\(logFile) 2>&1"
    try terminal.start(
      BuiltProgram(path: "/bin/sh"), ["-c", script, try BuiltProgram("bootstrap").path],
      environment: environment())
    expectMoreReports()
    try terminal.hangUp()
    wait { log.contains("Received SIGHUP") }
    expectMoreReports()
    terminal.send(SIGTERM)
    #expect(try terminal.wait() == 0)
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `a log without a reader doesn't end the agent`(name: String) throws {
    let pipe = try UnreadPipe(in: directory)
    let agent = try ServerProgram(
      try BuiltProgram(name).path, ["agent"], environment: environment(), log: pipe.path)
    expectMoreReports()
    try pipe.close()
    expectMoreReports()
    end(agent)
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `a log that has reached the limit of its size doesn't end the agent`(name: String) throws {
    let state = try TemporaryDirectory()
    // One block of 512 bytes, which applies to the log and the state.
    let agent = try ServerProgram(
      "/bin/sh", ["-c", "ulimit -f 1; exec \"$0\" agent", try BuiltProgram(name).path],
      environment: environment(["DEFENDER_STATE_DIRECTORY": state.path]),
      log: logFile)
    wait { log.utf8.count >= 512 }
    expectMoreReports()
    end(agent)
  }
}
