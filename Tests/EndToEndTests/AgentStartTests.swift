import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing

/// What the agent shows before its first report, which is up to five minutes away.
@Suite(.ownThreads) struct `the start of the agent` {
  /// Starts the agent with a slot in five minutes, waits until it logs `text`, stops it and returns its log.
  private func log(
    of arguments: [String], _ environment: [String: String] = [:], until text: String
  ) async throws -> String {
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let result = try await BuiltProgram("defender").run(
      ["agent"] + arguments + ["-t", "pump-7"],
      environment: ["DEFENDER_JITTER": "0"].merging(environment) { $1 },
      signals: signals
    ) { line in
      if line.contains(text) { continuation.yield(SIGTERM) }
    }
    #expect(result.status == .code(0), "\(result.errorText)")
    #expect(result.errorText.contains(text), "\(result.errorText)")
    #expect(!result.errorText.contains("Published"))
    return result.errorText
  }

  /// The device's options for `broker`.
  private func options(_ broker: MosquittoBroker, endpoint: String? = nil, ca: String? = nil) -> [String] {
    [
      "-e", endpoint ?? "localhost:\(broker.tlsPort)", "-r", ca ?? broker.authority.certificateFile, "-c",
      broker.device.certificateFile, "-k", broker.device.keyFile,
    ]
  }

  @Test(arguments: ["persistent", "per-report"])
  func `logs the connection before the slot`(mode: String) async throws {
    let broker = try MosquittoBroker()
    let log = try await log(
      of: options(broker) + ["--connection", mode],
      until: "Connected to mqtts://localhost:\(broker.tlsPort) as 'pump-7-defender' (MQTT 5, TLSv1.3).")
    #expect(log.contains("Closed the connection until the first report.") == (mode == "per-report"))
    let text = try broker.logText()
    #expect(text.contains("pump-7-defender") && !text.contains("PUBLISH from pump-7-defender"))
  }

  @Test(
    arguments: [
      (["--mqtt-version", "3"], nil, " as 'pump-7-defender' (MQTT 3.1.1)."),
      (
        [], [0x20, 2, 0, 1],
        " as 'pump-7-defender' (MQTT 3.1.1, because the broker refused MQTT 5)."
      ),
      (
        [], [0x20, 3, 0, 0x87, 0],
        " as 'pump-7-defender': MQTT: the server refused the connection: not authorized (135). "
          + "The policy of the role or user lacks iot:Connect on client/pump-7-defender."
      ),
    ] as [([String], [UInt8]?, String)])
  func `logs the version of MQTT, and why the broker refused the connection`(
    options: [String], answer: [UInt8]?, line: String
  ) async throws {
    let broker = try MosquittoBroker()
    // The answer to the first connection is replaced.
    let relay = try Relay(.forward(to: broker.plainPort)) { packet in
      guard let answer, packet.connection == 1, packet.direction == .toClient, packet.type == 2 else {
        return .pass
      }
      return .replace(answer)
    }
    defer { relay.stop() }
    let endpoint = "mqtt://127.0.0.1:\(relay.port)"
    _ = try await log(of: ["-e", endpoint] + options, until: endpoint + line)
  }

  @Test func `does the same with the environment that it prints`() async throws {
    let broker = try MosquittoBroker()
    let printed = try await BuiltProgram("defender").run(
      ["agent"] + options(broker) + ["-id", "pump-7", "-i", "600", "--print-environment"])
    #expect(printed.status == .code(0), "\(printed.errorText)")
    var environment = ["DEFENDER_JITTER": "0"]
    for line in printed.output.split(separator: "\n") where !line.hasPrefix("#") {
      let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
      environment[parts[0]] = parts[1]
    }
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let result = try await BuiltProgram("bootstrap").run(
      ["agent"], environment: environment, signals: signals
    ) { line in
      if line.contains("onnect") { continuation.yield(SIGTERM) }
    }
    #expect(result.errorText.contains("Reporting pump-7 every 600 s to"), "\(result.errorText)")
    #expect(
      result.errorText.contains(
        "Connected to mqtts://localhost:\(broker.tlsPort) as 'pump-7' (MQTT 5, TLSv1.3)."))
  }

  @Test func `prints nothing with a mistake, and warns of files that aren't here`() async throws {
    let program = try BuiltProgram("defender")
    let wrong = try await program.run(
      ["agent", "-e", "h", "-t", "pump-7", "-i", "often", "-c", "/c", "-k", "/k", "--print-environment"])
    #expect(wrong.status == .code(2) && wrong.output.isEmpty)
    #expect(wrong.errorText.contains("-i (or SAMPLE_INTERVAL_SECONDS) is 'often'"), "\(wrong.errorText)")
    let remote = try await program.run(
      ["agent", "-e", "h", "-t", "pump-7", "-c", "/no/such.pem", "-k", "/no/such.key", "--print-environment"])
    #expect(remote.status == .code(0) && remote.output.contains("DEFENDER_CERTIFICATE_FILE=/no/such.pem\n"))
    #expect(
      remote.errorText.contains("on this machine, -c (or DEFENDER_CERTIFICATE_FILE) is"),
      "\(remote.errorText)")
    let useless = try await program.run(["agent", "--once", "--print-environment"])
    #expect(useless.status == .code(64) && useless.errorText.contains("--once has no variable"))
  }

  enum Fault: CaseIterable {
    case wrongName, unknownAuthority, refusedPort, expiredServer, expiredDevice
  }

  @Test(arguments: Fault.allCases)
  func `logs the cause of a failure before the slot, and stays`(fault: Fault) async throws {
    let broker = try MosquittoBroker(isExpired: fault == .expiredServer)
    let stranger = try ThrowawayAuthority()
    var given = options(broker)
    let cause: String
    switch fault {
    case .wrongName:
      // No resolver asks the network for a name with a label this long.
      let name = "\(String(repeating: "a", count: 64)).invalid"
      given = options(broker, endpoint: name)
      cause = name
    case .unknownAuthority:
      given = options(broker, ca: stranger.certificateFile)
      cause = "certificate"
    case .refusedPort:
      // Nothing listens there once its owner has stopped.
      broker.stop()
      cause = "refused"
    case .expiredServer: cause = "expired"
    case .expiredDevice:
      let expired = try broker.authority.issue("old", names: "DNS:old", isExpired: true)
      given = Array(given.prefix(4)) + ["-c", expired.certificateFile, "-k", expired.keyFile]
      // Sending CONNECT may fail before the broker's alert is read; the message then lists the certificate.
      cause = "certificate"
    }
    let log = try await log(of: given, until: "Can't connect to mqtts://")
    #expect(!log.contains("Published report"))
    let line = log.split(separator: "\n").first { $0.contains("Can't connect to mqtts://") } ?? ""
    #expect(line.lowercased().contains(cause), "\(line)")
    #expect(
      line.contains("as 'pump-7-defender'") && line.contains("The first report tries again."), "\(line)")
  }

  // mosquitto's TLS port is a TLS server like any other as long as nobody sends a request.
  @Test func `opens a TLS connection over HTTPS`() async throws {
    let broker = try MosquittoBroker()
    let given = options(broker) + ["--transport", "https", "--topic", "own/{thing}"]
    let log = try await log(of: given, until: "Connected to https://localhost:\(broker.tlsPort)")
    #expect(log.contains("(TLSv1.3). Closed the connection until the first report."), "\(log)")
    let expired = try broker.authority.issue("old", names: "DNS:old", isExpired: true)
    let wrong =
      Array(given.prefix(4)) + ["-c", expired.certificateFile, "-k", expired.keyFile] + given.suffix(4)
    _ = try await self.log(of: wrong, until: "Can't connect to https://localhost:\(broker.tlsPort)")
  }

  @Test func `shows a failure to the service manager`() async throws {
    let manager = try NotificationListener()
    defer { manager.stop() }
    let broker = try MosquittoBroker()
    let given = options(broker)
    broker.stop()
    _ = try await log(of: given, ["NOTIFY_SOCKET": manager.path], until: "Can't connect to")
    let status = manager.messages().first {
      $0.hasPrefix("STATUS=Not connected; no report yet; next report at ")
    }
    #expect(status?.contains("refused") == true, "\(manager.messages())")
  }

  @Test(arguments: [
    ["-w", "-se", "eu-west-1", "-e", "localhost:1"],
    ["--transport", "https", "-se", "eu-west-1", "-e", "localhost:1", "--topic", "own/{thing}"],
  ])
  func `rejects a transport that signs without any source of credentials`(arguments: [String]) async throws {
    let home = try TemporaryDirectory()
    let result = try await BuiltProgram("defender").run(
      ["agent", "-t", "pump-7"] + arguments, environment: ["HOME": home.path])
    #expect(result.status == .code(2), "\(result.errorText)")
    #expect(
      result.errorText.contains("AWS_ACCESS_KEY_ID isn't set, and no other source"), "\(result.errorText)")
    // A source that is named and fails isn't a mistake of the configuration.
    _ = try await log(
      of: arguments, ["HOME": home.path, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"],
      until: "Can't connect to")
  }

  @Test func `fails once and says so once with --once`() async throws {
    let result = try await BuiltProgram("defender").run(
      ["agent", "-e", "mqtt://127.0.0.1:1", "-t", "pump-7", "--once"])
    #expect(result.status == .code(1))
    #expect(
      result.errors.count { $0.contains("127.0.0.1:1") && !$0.contains("Reporting ") } == 1,
      "\(result.errorText)")
  }
}
