import Glibc
import HTTPClient
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the built `defender` as a user runs it in a terminal.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The defender command` {
  @Test(arguments: ["agent", "doctor", "collect", "invoke", "emulator", "publish", "security-profile"])
  func `prints help that fits 80 columns and has examples`(command: String) async throws {
    let run = try await BuiltProgram("defender").run([command, "--help"])
    #expect(run.status == .code(0))
    #expect(run.outputLines.allSatisfy { $0.count <= 80 }, "\(run.output)")
    #expect(run.output.contains("\nExamples:\n  "))
  }

  @Test(arguments: ["bootstrap", "defender"])
  func `prints its version and those of its libraries`(program: String) async throws {
    let run = try await BuiltProgram(program).run(["--version"])
    #expect(run.status == .code(0))
    #expect(run.outputLines.first == "\(program) \(packageVersion)")
    for library in ["libcurl/", "OpenSSL/", "glibc/"] {
      #expect(run.output.contains(library), "\(run.output)")
    }
  }

  // MARK: invoke

  @Test func `invoke shows a violation that the function detects`() async throws {
    var environment = environment
    environment["DEFENDER_SECURITY_PROFILES"] =
      "\(fixturePath("../.."))/lambda/examples/security-profile.json"
    let run = try await BuiltProgram("defender").run(["invoke"], environment: environment)
    #expect(run.status == .code(0), "\(run.errorText)")
    // The local Runtime API listens on a port that the profile doesn't have.
    #expect(run.output.contains("Published to defender/local-device/violations"))
    #expect(run.output.contains("\"violationEventType\": \"in-alarm\""))
    #expect(
      run.outputLines.suffix(2) == [
        "2 reports of this machine were published, and their signatures verified.",
        "1 violation event was published, found by the security profile.",
      ])
  }

  @Test func `invoke shows two verified reports, the response and the log`() async throws {
    let run = try await BuiltProgram("defender").run(["invoke"], environment: environment)
    #expect(run.status == .code(0))
    #expect(run.verifiedPublishes == 2)
    #expect(run.outputLines.count { $0.hasSuffix("\"network_stats\": {") } == 1)
    #expect(run.output.contains("\"published\": 2"))
    #expect(
      run.outputLines.last == "2 reports of this machine were published, and their signatures verified.")
    let lines = run.errors
    #expect(lines.first?.hasPrefix("START RequestId: ") == true)
    #expect(lines.dropLast().last?.hasPrefix("END RequestId: ") == true)
    let report = try #require(lines.last)
    for field in ["REPORT RequestId: ", "\tDuration: ", "\tMax Memory Used: ", "\tInit Duration: "] {
      #expect(report.contains(field), "\(report)")
    }
  }

  @Test func `invoke reads the event from a file`() async throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("event.json", #"{"reports":1,"dry_run":true}"#)
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--event", "@\(file)"], environment: environment)
    #expect(run.status == .code(0))
    #expect(run.output.contains("\"published\": 0"))
    #expect(run.output.contains("listening_tcp_ports"))
  }

  @Test func `invoke names the place of a mistake in the event file`() async throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("event.json", "{\n  \"reports\": 1,\n  \"dry_run\": yes\n}\n")
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--event", "@\(file)"], environment: environment)
    #expect(run.status == .code(2))
    #expect(
      run.errorText.contains("The event file '\(file)' isn't JSON: expected a value at line 3, column 14."))
  }

  /// A wrong use of `invoke`.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let arguments: [String]
    var variables: [String: String] = [:]
    let status: Int32
    let words: String
    var testDescription: String { "\(arguments) \(variables)" }
  }

  @Test(arguments: [
    Mistake(arguments: ["--event", #"{"report":1}"#], status: 1, words: "'report'"),
    Mistake(arguments: ["--event", "[]"], status: 1, words: "array"),
    Mistake(arguments: [], variables: ["AWS_IOT_THING_NAME": ""], status: 1, words: "AWS_IOT_THING_NAME"),
    Mistake(arguments: [], variables: ["PROCFS_PATH": "/nowhere"], status: 1, words: "/nowhere/net/tcp"),
    Mistake(arguments: ["--timeout", "0.001"], status: 1, words: "Task timed out after 0.00 seconds"),
    Mistake(arguments: ["--bootstrap", "/bin/false"], status: 1, words: "exit status 1"),
    Mistake(arguments: ["--bootstrap", "/bin/true"], status: 1, words: "without providing a reason"),
    Mistake(arguments: ["--bootstrap", "/nowhere"], status: 2, words: "program /nowhere:"),
    Mistake(arguments: ["--bootstrap", "/tmp"], status: 2, words: "program /tmp: it isn't a regular file"),
    Mistake(arguments: ["--event", "@/nowhere"], status: 2, words: "'/nowhere'"),
    Mistake(
      arguments: ["--event", "hello"], status: 2,
      words: "The event of --event isn't JSON: expected a value at line 1, column 1."),
    Mistake(
      arguments: ["--event", #"{"ü":1,}"#], status: 2, words: "expected a member name at line 1, column 8"),
    Mistake(arguments: ["--timeout", "0"], status: 64, words: "--timeout"),
    Mistake(arguments: ["--env", "secret"], status: 64, words: "--env #1 must be NAME=VALUE"),
    Mistake(arguments: ["--env", "=x"], status: 64, words: "--env #1"),
    Mistake(arguments: ["--env", "DEFENDER_TOPIC=a/+"], status: 1, words: "DEFENDER_TOPIC"),
    Mistake(arguments: ["--timeout", "soon"], status: 64, words: "timeout"),
    Mistake(arguments: ["--evnt", "{}"], status: 64, words: "--evnt"),
  ])
  func `invoke reports an error in its message and its exit status`(mistake: Mistake) async throws {
    let run = try await BuiltProgram("defender").run(
      ["invoke"] + mistake.arguments, environment: environment.merging(mistake.variables) { _, new in new })
    #expect(run.status == .code(mistake.status))
    #expect((run.output + run.errorText).contains(mistake.words), "\(run.output)\(run.errorText)")
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func `invoke stops the function when it is interrupted`(signal: Int32) async throws {
    let (signals, sender) = AsyncStream.makeStream(of: Int32.self)
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--event", #"{"interval_seconds":30}"#], environment: environment, signals: signals
    ) { line in
      if line.contains("Published report") { sender.yield(signal) }
    }
    #expect(run.status == .code(1))
    #expect(run.output.contains("The emulator was stopped"))
  }

  @Test func `invoke enforces its time limit if the function writes constantly`() async throws {
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--bootstrap", "/usr/bin/yes", "--timeout", "0.5"], environment: environment)
    #expect(run.status == .code(1))
    #expect(run.errors.count { $0 == "y" } > 1_000)
    #expect(run.errors.contains { $0.contains("Task timed out after 0.50 seconds") })
  }

  @Test func `invoke leaves no function behind if it is killed`() async throws {
    let directory = try TemporaryDirectory()
    let script = try directory.writeProgram("function", "#!/bin/sh\necho $$\nexec sleep 600\n")
    let (signals, sender) = AsyncStream.makeStream(of: Int32.self)
    let run = try await BuiltProgram("defender").run(
      ["invoke", "--bootstrap", script], environment: environment, signals: signals
    ) { line in
      if Int32(line) != nil { sender.yield(SIGKILL) }
    }
    #expect(run.status == .signal(SIGKILL))
    let function = try #require(run.errors.compactMap { Int32($0) }.first)
    // It has been killed by now, but its new parent may not have reaped it yet.
    while let stat = try? readFile("/proc/\(function)/stat", limit: 1 << 12) {
      if String(decoding: stat, as: UTF8.self).contains(") Z ") { break }
      await Task.yield()
    }
  }

  // MARK: emulator

  @Test func `emulator handles invocations in turn, restarts a dead function, and stops on request`()
    async throws
  {
    let (signals, sender) = AsyncStream.makeStream(of: Int32.self)
    let (notices, notice) = AsyncStream.makeStream(of: String.self)
    async let run = BuiltProgram("defender").run(
      ["emulator", "--port", "0"], environment: environment, signals: signals
    ) { line in
      if line.contains("http://") || line.contains("ended") { notice.yield(line) }
    }
    var iterator = notices.makeAsyncIterator()
    let url = try #require(await iterator.next()?.split(separator: " ").last).description
    #expect(url.hasSuffix("/2015-03-31/functions/function/invocations"))

    // Four at once, each on a separate connection.
    let answers = try await withThrowingTaskGroup { group in
      for _ in 1...4 { group.addTask { try await post(#"{"reports":1}"#, to: url) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.map { $0.json?["published"]?.integer() } == [1, 1, 1, 1])
    #expect(answers.allSatisfy { $0.status == 200 && $0.error == nil })

    let refused = try await post(#"{"nonsense":1}"#, to: url)
    #expect(refused.status == 200 && refused.error == "Unhandled")
    #expect(refused.json?["errorMessage"]?.string?.contains("'nonsense'") == true)

    // A killed function is restarted for the next caller.
    let bootstraps = processes(named: "bootstrap", listeningTo: url)
    try #require(bootstraps.count == 1)
    kill(bootstraps[0], SIGKILL)
    #expect(await iterator.next()?.contains("(signal: killed)") == true)
    #expect(try await post(#"{"reports":1}"#, to: url).json?["published"]?.integer() == 1)
    let successors = processes(named: "bootstrap", listeningTo: url)
    #expect(successors.count == 1 && successors != bootstraps)

    sender.yield(SIGTERM)
    let result = try await run
    #expect(result.status == .code(0))
    #expect(processes(named: "bootstrap", listeningTo: url).isEmpty)
    #expect(result.verifiedPublishes == 5)
    #expect(result.errors.count { $0.hasPrefix("REPORT RequestId: ") } == 6)
  }

  @Test func `emulator reports that its port is in use`() async throws {
    let server = try LoopbackServer(script: [])
    let run = try await BuiltProgram("defender").run(
      ["emulator", "--port", "\(server.port)"], environment: environment)
    #expect(run.status == .code(2))
    #expect(
      run.errors == [
        "defender: can't listen on 127.0.0.1:\(server.port): Address already in use (errno 98)."
          + " Choose another port with --port; 0 selects any free one."
      ])
  }

  @Test(arguments: ["-1", "65536", "http"])
  func `emulator rejects an invalid port`(port: String) async throws {
    let run = try await BuiltProgram("defender").run(
      ["emulator", "--port=\(port)"], environment: environment)
    #expect(run.status == .code(64))
    #expect(run.errorText.contains(port))
  }

  // MARK: publish

  @Test(arguments: [
    "sensors/pump-7", "a b/c d", "$aws/things/My Thing:1/defender/metrics/json", "100%/%41/%2F", "é/🌡️/日本",
    "a/b/c/d/e/f/g/h", "/leading/and//double/", "...", "-x", "!*'()&=?;:@,", "\"\\", "\u{1}",
    String(repeating: "x", count: 256),
  ])
  func `publish reaches every topic`(topic: String) async throws {
    let published = try await publish(["--topic", topic, "--payload", #"{"a":1}"#])
    #expect(published.run.status == .code(0), "\(published.run.errorText)")
    #expect(published.received.map(\.verdict) == [.accepted])
    #expect(published.received.map(\.topic) == [topic])
    #expect(published.received.map(\.payload) == [Array(#"{"a":1}"#.utf8)])
    #expect(published.received.map(\.qos) == [.atLeastOnce])
    let answer = try JSONValue(parsing: Array(published.run.output.utf8))
    #expect(answer["status"]?.integer() == 200)
    #expect(answer["traceId"]?.string?.isEmpty == false)
  }

  @Test(
    arguments: [
      [], [0], [0xFF, 0xFE, 0x00, 0x0A], Array("no line end".utf8), [UInt8](repeating: 0xA5, count: 131_072),
    ] as [[UInt8]])
  func `publish sends a payload byte for byte`(payload: [UInt8]) async throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("payload", payload)
    let fromFile = try await publish(["--topic", "t", "--payload-file", file, "--qos", "0"])
    let fromInput = try await publish(["--topic", "t", "--payload-file", "-"], input: payload)
    for published in [fromFile, fromInput] {
      #expect(published.run.status == .code(0), "\(published.run.errorText)")
      #expect(published.received.map(\.verdict) == [.accepted])
      #expect(published.received.map(\.payload) == [payload])
    }
    #expect(fromFile.received.map(\.qos) == [.atMostOnce])
  }

  @Test func `publish sends an empty message if there is no payload`() async throws {
    let published = try await publish(["--topic", "t"])
    #expect(published.run.status == .code(0))
    #expect(published.received.map(\.payload) == [[]])
  }

  @Test(
    arguments: [
      (["AWS_SECRET_ACCESS_KEY": "wrong"], "signature"), (["AWS_SESSION_TOKEN": ""], "security token"),
      (["AWS_ACCESS_KEY_ID": "AKIDOTHER"], "security token"), (["AWS_REGION": "eu-west-1"], "region"),
    ] as [([String: String], String)])
  func `publish reports why AWS rejected it`(variables: [String: String], words: String) async throws {
    let published = try await publish(["--topic", "t", "--payload", "x"], variables)
    #expect(published.run.status == .code(1))
    #expect(published.run.output.isEmpty)
    #expect(published.run.errorText.contains("403") && published.run.errorText.contains(words))
    #expect(!published.run.errorText.contains("wrong"))
  }

  @Test(arguments: [
    Mistake(arguments: ["--topic", "t", "--payload-file", "/nowhere"], status: 2, words: "'/nowhere'"),
    Mistake(arguments: ["--topic", "t"], variables: ["AWS_REGION": ""], status: 2, words: "AWS_REGION"),
    Mistake(
      arguments: ["--topic", "t"], variables: ["AWS_ACCESS_KEY_ID": ""], status: 2, words: "AWS_ACCESS_KEY_ID"
    ),
    Mistake(arguments: ["--topic", "t", "--endpoint", "nowhere"], status: 2, words: "--endpoint"),
    Mistake(
      arguments: ["--topic", "t", "--endpoint", "http://127.0.0.1:1"], status: 3, words: "127.0.0.1:1"),
    Mistake(
      arguments: ["--topic", "t\u{1B}[2J", "--endpoint", "http://127.0.0.1:1"], status: 3,
      words: #"'t\u{1B}[2J'"#),
    Mistake(arguments: [], status: 64, words: "--topic"),
    Mistake(arguments: ["--topic", ""], status: 64, words: "empty"),
    Mistake(arguments: ["--topic", "a/#"], status: 64, words: "'#'"),
    Mistake(arguments: ["--topic", "a/b/c/d/e/f/g/h/i"], status: 64, words: "8 slashes"),
    Mistake(arguments: ["--topic", String(repeating: "x", count: 257)], status: 64, words: "257 bytes"),
    Mistake(arguments: ["--topic", "t", "--qos", "2"], status: 64, words: "--qos"),
    Mistake(
      arguments: ["--topic", "t", "--payload", "x", "--payload-file", "-"], status: 64,
      words: "--payload-file"),
  ])
  func `publish reports an error in its message and its exit status`(mistake: Mistake) async throws {
    let published = try await publish(mistake.arguments, mistake.variables)
    #expect(published.run.status == .code(mistake.status))
    #expect(published.run.errorText.contains(mistake.words), "\(published.run.errorText)")
    #expect(published.received.isEmpty)
  }

  @Test func `publish rejects a payload above AWS IoT's limit without sending it`() async throws {
    let input = [UInt8](repeating: 0, count: 131_073)
    let published = try await publish(["--topic", "t", "--payload-file", "-"], input: input)
    #expect(published.run.status == .code(2))
    #expect(published.run.errorText.contains("131072"))
    #expect(published.received.isEmpty)
  }

  @Test(arguments: [
    (LoopbackServer.Reply.response(500, body: "no"), 1 as Int32, "500"),
    (.response(302, [("Location", "http://127.0.0.1:1/")]), 1, "302"), (.sendAndClose([]), 3, "answer"),
    (.sendAndClose(Array("SSH-2.0\r\n\r\n".utf8)), 3, "HTTP"), (.hold, 3, "time"), (.response(204), 0, ""),
  ])
  func `publish reports how the endpoint failed`(
    reply: LoopbackServer.Reply, status: Int32, words: String
  ) async throws {
    let server = try LoopbackServer { _ in reply }
    let arguments = ["--topic", "t", "--endpoint", "http://\(server.authority)", "--timeout", "3"]
    let published = try await publish(arguments)
    #expect(published.run.status == .code(status), "\(published.run.errorText)")
    #expect(published.run.errorText.contains(words), "\(published.run.errorText)")
  }
}

// MARK: Shared by the tests

/// An environment without the variables of the user who runs the tests.
private let environment = ["DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.1"]

/// The result of `defender publish` with the emulator's data plane.
private struct Published {
  let run: BuiltProgram.Result
  let received: [ReceivedPublish]
}

private func publish(
  _ arguments: [String], _ variables: [String: String] = [:], input: [UInt8] = []
) async throws -> Published {
  let credentials = TemporaryCredentials.random()
  var configuration = Emulator.Configuration(
    function: FunctionConfiguration(bootstrap: "/bin/false", timeout: .seconds(1)))
  configuration.credentials = credentials
  return try await Emulator.run(configuration, report: { _ in }) { emulator in
    let environment = [
      "AWS_ACCESS_KEY_ID": credentials.accessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.secretAccessKey,
      "AWS_SESSION_TOKEN": credentials.sessionToken, "AWS_REGION": "us-east-1",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://127.0.0.1:\(emulator.port)",
      "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere",
    ]
    let run = try await BuiltProgram("defender").run(
      ["publish"] + arguments, environment: environment.merging(variables) { _, new in new }, input: input)
    return Published(run: run, received: emulator.publishes)
  }
}

private struct InvokeAnswer: Sendable {
  let status: Int
  /// The value of `X-Amz-Function-Error`.
  let error: String?
  let json: JSONValue?
}

/// Invokes a function over HTTP in a separate thread, because libcurl blocks.
private func post(_ event: String, to url: String) async throws -> InvokeAnswer {
  try await Task.detached {
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    let request = HTTPRequest(method: "POST", url: url, headers: [], body: Array(event.utf8))
    let response = try exchange.exchange(request, timeout: .seconds(60))
    return InvokeAnswer(
      status: response.status, error: response.header("x-amz-function-error"),
      json: try? JSONValue(parsing: response.body))
  }.value
}

/// Returns the IDs of the processes called `name` that poll the Runtime API at `url`.
private func processes(named name: String, listeningTo url: String) -> [pid_t] {
  let authority = url.split(separator: "/")[1]
  guard let directory = unsafe opendir("/proc") else { return [] }
  defer { unsafe closedir(directory) }
  var found: [pid_t] = []
  while let entry = unsafe readdir(directory) {
    let text = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    guard let number = pid_t(text), isNamed(name, number),
      let variables = try? readFile("/proc/\(number)/environ", limit: 1 << 20)
    else { continue }
    let isOurs = variables.split(separator: 0).contains {
      String(decoding: $0, as: UTF8.self) == "AWS_LAMBDA_RUNTIME_API=\(authority)"
    }
    if isOurs { found.append(number) }
  }
  return found
}

/// Returns whether the process `number` runs a program called `name`; false if it has ended.
private func isNamed(_ name: String, _ number: pid_t) -> Bool {
  guard let file = try? FileDescriptor(reading: "/proc/\(number)/comm") else { return false }
  var command: [UInt8] = []
  guard let count = try? file.read(into: &command, limit: 64), count > 0 else { return false }
  return String(decoding: command, as: UTF8.self) == "\(name)\n"
}

extension BuiltProgram.Result {
  fileprivate var outputLines: [Substring] { output.split(separator: "\n") }

  /// The number of publishes that it showed as verified.
  fileprivate var verifiedPublishes: Int {
    outputLines.count { $0.hasSuffix("the request's signature was verified:") }
  }
}
