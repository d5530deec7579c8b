import Foundation
import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the built agent with a real broker and a simulated Device Defender.
@Suite(.ownThreads) struct `defender agent` {
  /// Runs `defender agent` until `count` reports have been accepted, and then asks it to stop.
  private func runAgent(
    _ arguments: [String], _ environment: [String: String] = [:], until count: Int,
    says expected: String = "accepted report"
  ) async throws -> BuiltProgram.Result {
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let seen = Mutex(0)
    let fast = ["DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.01", "DEFENDER_JITTER": "0"]
    return try await BuiltProgram("defender").run(
      ["agent"] + arguments, environment: fast.merging(environment) { $1 }, signals: signals
    ) { line in
      guard line.contains(expected) else { return }
      let number = seen.withLock { number in
        number += 1
        return number
      }
      if number == count { continuation.yield(SIGTERM) }
    }
  }

  // The commands in the Python agent's README, other spellings of its options, and the workshop's @file.
  @Test(
    arguments: [
      [
        "--endpoint", "E", "--rootCA", "CA", "--cert", "CERT", "--key", "KEY", "--format", "json", "-i",
        "0.2", "-id", "T",
      ],
      ["-e", "E", "-r", "CA", "-c", "CERT", "-k", "KEY", "-f", "cbor", "-i0.2", "--client_id", "T", "-s"],
      [
        "--endpoint=E", "--root", "CA", "--cert=CERT", "--key=KEY", "--format=json", "--interval=0.2", "-id",
        "c", "-t", "T",
      ],
      ["@FILE"],
    ])
  func `accepts the Python agent's commands after a change of the program's name`(arguments: [String])
    async throws
  {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    defer { responder.stop() }
    let words = [
      "E": "localhost:\(broker.tlsPort)", "CA": broker.authority.certificateFile,
      "CERT": broker.device.certificateFile, "KEY": broker.device.keyFile, "T": "pump-7",
    ]
    func filledIn(_ argument: String) -> String {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      return parts.map { words[$0] ?? $0 }.joined(separator: "=")
    }
    let directory = try TemporaryDirectory()
    let lines = ["-e", "E", "-r", "CA", "-c", "CERT", "-k", "KEY", "-id", "T", "-f", "json", "-i", "0.2"]
    let file = try directory.write("agent_args.txt", lines.map(filledIn).joined(separator: "\n"))
    let given = arguments == ["@FILE"] ? ["@\(file)"] : arguments.map(filledIn)
    let result = try await runAgent(given, until: 3)
    #expect(result.status == .code(0), "\(result.errorText)")
    let reports = responder.reports
    let format = arguments.contains("cbor") ? "cbor" : "json"
    #expect(Set(reports.map(\.topic)) == ["$aws/things/pump-7/defender/metrics/\(format)"])
    #expect(!reports.contains { !$0.isAccepted })
    let ids = reports.compactMap(\.id)
    #expect(ids.count >= 3 && ids == ids.sorted() && Set(ids).count == ids.count)
    // The first sample is only a baseline, so the first report contains deltas.
    let metrics = try #require(reports.first?.report[format == "cbor" ? "met" : "metrics"])
    #expect(metrics[format == "cbor" ? "ns" : "network_stats"] != nil)
  }

  @Test func `connects over a signed WebSocket through a proxy`() async throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    let proxy = try Relay(.proxy)
    defer {
      proxy.stop()
      responder.stop()
    }
    let result = try await runAgent(
      [
        "-e", "localhost:\(broker.webSocketPort)", "-r", broker.authority.certificateFile, "-id", "pump-7",
        "-w", "True",
        "-se", "eu-west-1", "-ph", "127.0.0.1", "-pp", "\(proxy.port)", "-f", "json", "-i", "0.2",
      ], ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_SESSION_TOKEN": "t0k3n"],
      until: 2)
    #expect(result.status == .code(0), "\(result.errorText)")
    #expect(proxy.tunnels == ["localhost:\(broker.webSocketPort)"])
    #expect(!result.errorText.contains("s3cr3t") && !result.errorText.contains("t0k3n"))
  }

  @Test func `notifies the service manager when it is ready, alive and stopping`() async throws {
    let broker = try MosquittoBroker()
    let responder = try DeviceDefenderResponder(port: broker.plainPort)
    let manager = try NotificationListener()
    defer {
      manager.stop()
      responder.stop()
    }
    let result = try await runAgent(
      ["-e", "mqtt://127.0.0.1:\(broker.plainPort)", "-t", "pump-7", "-i", "0.5"],
      ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "60000"], until: 2)
    #expect(result.status == .code(0), "\(result.errorText)")
    let messages = manager.messages()
    #expect(messages.first?.hasPrefix("READY=1\nSTATUS=Reporting pump-7 every 0.5 s to 127.0.0.1:") == true)
    #expect(messages.last == "STOPPING=1")
    let between = messages.dropFirst().dropLast()
    #expect(between.contains("WATCHDOG=1"))
    #expect(between.allSatisfy { $0 == "WATCHDOG=1" || $0.hasPrefix("STATUS=Connected; ") }, "\(between)")
    #expect(
      between.first { $0.hasPrefix("STATUS=") }?.hasPrefix("STATUS=Connected; no report yet; next report at ")
        == true)
    let statusOfReports = between.last { $0.hasPrefix("STATUS=") } ?? ""
    #expect(statusOfReports.contains("; last report ") && statusOfReports.contains("; next report at 20"))
    #expect(!statusOfReports.contains("last error"))
  }

  @Test(arguments: [true, false])
  func `uses the service's environment file, and MQTT by default`(namesTransport: Bool)
    async throws
  {
    let authority = try ThrowawayAuthority()
    let identity = try authority.issue("device", names: "DNS:pump-7")
    var environment = [
      "DEFENDER_CERTIFICATE_FILE": identity.certificateFile, "DEFENDER_PRIVATE_KEY_FILE": identity.keyFile,
    ]
    let repository = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
    let file = try fileContents(repository + "/lambda/systemd/agent.env")
    let wanted =
      ["DEFENDER_MQTT_ENDPOINT", "AWS_IOT_THING_NAME"] + (namesTransport ? ["DEFENDER_TRANSPORT"] : [])
    // As an administrator does: removes the '#'.
    for line in String(decoding: file, as: UTF8.self).split(separator: "\n") {
      let parts = line.dropFirst().split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2, wanted.contains(parts[0]) { environment[parts[0]] = parts[1] }
    }
    #expect(environment.count == wanted.count + 2)
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let program = try BuiltProgram("bootstrap")
    let result = try await program.run(["agent"], environment: environment, signals: signals) { line in
      if line.contains("Reporting pump-7") { continuation.yield(SIGTERM) }
    }
    #expect(result.status == .code(0), "\(result.errorText)")
    #expect((result.output + result.errorText).contains("Reporting pump-7 every 300 s to "))
  }

  @Test(arguments: [true, false], [["bootstrap", "agent"], ["defender", "agent"]])
  func `logs an unusable configuration as an error in the journal`(isJournal: Bool, command: [String])
    async throws
  {
    let program = try BuiltProgram(command[0]).path
    // stat(1) shares the standard error that the agent then has.
    let script =
      "JOURNAL_STREAM=\(isJournal ? "" : "1")$(stat -Lc %d:%i /proc/self/fd/2) exec \(program) agent"
    let run = try await BuiltProgram(path: "/bin/sh").run(
      ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
    #expect(run.isErrorExit)
    #expect(
      !run.errors.isEmpty && run.errors.allSatisfy { $0.hasPrefix("<3>") == isJournal }, "\(run.errorText)")
  }

  @Test func `rejects arguments if variables configure it`() async throws {
    let run = try await BuiltProgram("bootstrap").run(["agent", "-i", "600"])
    #expect(run.isErrorExit)
    #expect(run.errorText.contains("takes no arguments (got '-i')"), "\(run.errorText)")
  }

  @Test func `prints a report in a dry run, or writes CBOR to a file`() async throws {
    let directory = try TemporaryDirectory()
    // The agent writes to the current directory, like the Python agent.
    let program = try BuiltProgram("defender").path
    let result = try await BuiltProgram(path: "/bin/sh").run(
      ["-c", "cd \"$1\" && exec \"$2\" agent -d -f cbor -s -i 5 --once", "sh", directory.path, program])
    #expect(result.status == .code(0), "\(result.errorText)")
    let shown = try JSONValue(parsing: Array(result.output.utf8))
    #expect(shown["hed"]?["v"]?.string == "1.0" && shown["met"]?["tc"] != nil)
    let written = try JSONValue(parsingCBOR: try fileContents("\(directory.path)/cbor_metrics"))
    #expect(written["hed"] == shown["hed"])
  }

  @Test func `says when the next report of a dry run comes`() async throws {
    let result = try await runAgent(["-d", "-i", "0.05"], until: 2, says: "Next report in 0.05 s.")
    #expect(result.status == .code(0), "\(result.errorText)")
    #expect(result.output.contains("listening_tcp_ports"))
  }

  @Test func `logs once why a stop ended the only report`() async throws {
    let broker = try MosquittoBroker()
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    // The acknowledgement is lost, and the signal to stop arrives while the agent waits for it.
    let relay = try Relay(.forward(to: broker.plainPort)) { packet in
      guard packet.direction == .toClient, packet.type == 4 else { return .pass }
      continuation.yield(SIGTERM)
      return .drop
    }
    defer { relay.stop() }
    let result = try await BuiltProgram("defender").run(
      ["agent", "--once", "-e", "mqtt://127.0.0.1:\(relay.port)", "-t", "pump-7", "--topic", "own/{thing}"],
      signals: signals)
    #expect(result.status == .code(1), "\(result.errorText)")
    #expect(result.errors.count { $0.contains(" was not published: ") } == 1, "\(result.errorText)")
    #expect(result.errors.count { $0.localizedCaseInsensitiveContains("stop") } == 1, "\(result.errorText)")
    #expect(result.errors.last?.hasSuffix("No report was published.") == true, "\(result.errorText)")
  }

  @Test func `makes one report with --once, and exits with its outcome`() async throws {
    let broker = try MosquittoBroker()
    let arguments = [
      "-e", "mqtt://127.0.0.1:\(broker.plainPort)", "-t", "pump-7", "--topic", "own/{thing}", "--once",
    ]
    let result = try await BuiltProgram("defender").run(["agent"] + arguments)
    #expect(result.status == .code(0), "\(result.errorText)")
    // Nobody vouches for that broker.
    let failed = try await BuiltProgram("defender").run(
      [
        "agent", "--once", "-i", "10", "-e", "localhost:\(broker.tlsPort)", "-t", "t", "-c",
        broker.device.certificateFile, "-k", broker.device.keyFile,
      ])
    #expect(failed.status == .code(1))
    #expect(failed.errors.count { $0.contains("can't be verified") } == 1, "\(failed.errorText)")
    #expect(failed.errorText.contains(" every 300 s to localhost:"), "\(failed.errorText)")
  }

  @Test(
    arguments: [
      (["-e", "h", "-t", "t"], "--cert (or DEFENDER_CERTIFICATE_FILE) isn't set", 2),
      (["-c", "c", "-k", "k", "-t", "t"], "--endpoint (or DEFENDER_MQTT_ENDPOINT) isn't set", 2),
      (["-e", "h", "-w"], "AWS_IOT_THING_NAME) isn't set", 2),
      (["-e", "h:99999", "-t", "t", "-w"], "the port isn't a number from 1 to 65535", 2),
      (["-e", "mqtt://example.com", "-t", "t"], "a broker on this machine", 2),
      (
        ["-e", "h", "-t", "t", "-c", "/c", "-k", "/dev/null"],
        "-c (or DEFENDER_CERTIFICATE_FILE) is '/c'", 2
      ),
      (
        ["-e", "h", "-t", "t", "-c", "/c", "-k", "/dev/null"],
        "-k (or DEFENDER_PRIVATE_KEY_FILE) is '/dev/null', which isn't a regular file", 2
      ),
      (
        ["-e", "h", "-t", "t", "-c", "/etc/hostname"],
        "--key (or DEFENDER_PRIVATE_KEY_FILE) isn't set, but -c (or DEFENDER_CERTIFICATE_FILE) is", 2
      ),
      (
        ["-e", "h", "-t", "t"],
        "Set it and --key (or DEFENDER_PRIVATE_KEY_FILE) for mutual TLS, or start -e (or DEFENDER_", 2
      ),
      (["-e", "h", "-t", "t", "-w", "--log-format", "xml"], "--log-format is 'xml'", 2),
      (["-e", "h", "-t", "t", "-w", "-ph", "http://u:hunter2@p"], "-ph (or HTTPS_PROXY) isn't a host", 2),
      (
        ["-e", "wss://u:hunter2@h", "-t", "t"], "-e (or DEFENDER_MQTT_ENDPOINT) can't be used: '(not",
        2
      ),
      (
        ["-e", "h", "-t", "t", "-w", "-ph", "p", "-pp", "0"],
        "invalid for '-pp <port>': expected 1 to 65535", 64
      ),
      (["--dry-run", "--once", "--procfs", "/nowhere"], "No metrics could be read", 1),
      (["--no-such-option"], "Unknown option", 64),
      (["-i", "soon"], "-i (or SAMPLE_INTERVAL_SECONDS) is 'soon'; expected", 2),
    ])
  func `reports what is wrong with a command line`(arguments: [String], words: String, status: Int32)
    async throws
  {
    let result = try await BuiltProgram("defender").run(["agent"] + arguments)
    #expect(result.status == .code(status))
    #expect(result.errorText.contains(words), "\(result.errorText)")
    #expect(!result.errorText.contains("hunter2"))
  }

  @Test func `names an unreachable proxy, and the option that set it`() async throws {
    let port = try freePort()
    let result = try await runAgent(
      [
        "-e", "localhost:1", "-t", "t", "-w", "-se", "eu-west-1", "-ph", "user:hunter2@127.0.0.1", "-pp",
        "\(port)", "-i", "0.1",
      ],
      ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "S"], until: 1, says: "no connection through")
    #expect(result.errorText.contains("the proxy 127.0.0.1:\(port) "), "\(result.errorText)")
    #expect(!result.errorText.contains("hunter2"))
  }
}

/// A service manager's socket. Reads messages as they arrive, because its queue holds only ten.
final class NotificationListener: Sendable {
  let path: String
  private let directory: TemporaryDirectory
  private let descriptor: Int32
  private let received = Mutex<[String]>([])
  private let isStopped = Mutex(false)

  init() throws {
    directory = try TemporaryDirectory()
    path = "\(directory.path)/notify"
    let flags = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let socket = try retryingOnInterrupt { Glibc.socket(AF_UNIX, flags, 0) }
    descriptor = socket
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    _ = try retryingOnInterrupt {
      unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
    listen()
  }

  deinit { close(descriptor) }

  /// Stops the reading thread.
  func stop() { isStopped.withLock { $0 = true } }

  /// Reads in a separate thread, because the socket holds only ten datagrams and loses others.
  private func listen() {
    Thread { [self] in
      while !isStopped.withLock({ $0 }) {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&wait, 1, 50)
        readWhatArrived()
      }
    }.start()
  }

  /// The messages received so far.
  func messages() -> [String] {
    readWhatArrived()
    return received.withLock { $0 }
  }

  private func readWhatArrived() {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    received.withLock { received in
      while true {
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        received.append(String(decoding: buffer.prefix(count), as: UTF8.self))
      }
    }
  }
}
