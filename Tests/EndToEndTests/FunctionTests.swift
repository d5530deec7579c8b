import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the built `bootstrap` in the emulator, from an event to a report that the emulated AWS IoT accepts.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The Lambda function` {
  @Test func `publishes two reports of this machine, the second with what went over the network`()
    async throws
  {
    // Don't truncate lists: other tests may open more sockets than a list holds by default.
    let run = try await invoke(
      #"{"reports":2,"interval_seconds":0.2}"#, ["DEFENDER_MAX_LIST_SIZE": "100000"])
    #expect(run.failure == nil)
    #expect(run.answer["published"]?.integer() == 2)
    #expect(run.answer["failed"]?.integer() == 0)
    #expect(run.answer["ended"]?.string == "reports")
    try #require(run.publishes.count == 2)
    for publish in run.publishes {
      #expect(publish.verdict == .accepted)
      #expect(publish.topic == "$aws/things/local-device/defender/metrics/json")
      #expect(publish.qos == .atLeastOnce)
    }
    let reports = try run.publishes.map { try JSONValue(parsing: $0.payload) }
    let ids = reports.compactMap { $0["header"]?["report_id"]?.integer(as: UInt64.self) }
    try #require(ids.count == 2)
    #expect(ids[0] < ids[1])
    #expect(run.answer["last_report_id"]?.integer() == ids[1])
    #expect(reports[0]["metrics"]?["network_stats"] == nil)
    let counters = try #require(reports[1]["metrics"]?["network_stats"])
    for name in ["bytes_in", "bytes_out", "packets_in", "packets_out"] {
      // The first publish itself used the loopback interface.
      #expect(try #require(counters[name]?.integer(as: UInt64.self)) > 0)
    }
    // The emulator's own socket must be in the report.
    let ports = reports[1]["metrics"]?["listening_tcp_ports"]?["ports"]?.array ?? []
    #expect(ports.contains { $0["port"]?.integer() == run.port && $0["interface"]?.string == "lo" })
  }

  @Test func `keeps its baseline from one invocation to the next, in one process`() async throws {
    try await withEmulator { emulator, lines in
      for _ in 1...2 {
        let result = await emulator.invoke(InvocationRequest(event: Array(#"{"reports":1}"#.utf8)))
        #expect(result.failure == nil)
      }
      let reports = try emulator.publishes.map { try JSONValue(parsing: $0.payload) }
      #expect(reports.map { $0["metrics"]?["network_stats"] != nil } == [false, true])
      #expect(lines.starts == 1)
    }
  }

  @Test(arguments: [
    (#"{"reports":1,"format":"cbor","names":"short"}"#, "cbor"), (#"{"reports":1,"names":"short"}"#, "json"),
    (#" { "reports" : 1 } "#, "json"),
  ])
  func `applies the options in an event`(event: String, format: String) async throws {
    let run = try await invoke(event)
    #expect(run.failure == nil)
    #expect(run.publishes.map { $0.topic?.hasSuffix("/metrics/\(format)") } == [true])
    #expect(run.publishes.map(\.verdict) == [.accepted])
  }

  @Test(arguments: ["", "{}"])
  func `reports until shortly before the deadline if the event has no number`(event: String) async throws {
    let run = try await invoke(event, ["SAMPLE_INTERVAL_SECONDS": "1", "DEFENDER_JITTER": "0"], timeout: 8)
    #expect(run.failure == nil)
    #expect(run.answer["ended"]?.string == "deadline")
    #expect(run.publishes.count >= 2)
    #expect(run.publishes.allSatisfy { $0.verdict == .accepted })
  }

  @Test(arguments: [
    ("[]", "array"), ("null", "null"), ("1", "number"), (#""{}""#, "string"), ("{", "JSON"),
    ("\u{0}", "JSON"),
    (#"{"report":1}"#, "'report'"), (#"{"reports":0}"#, "'reports'"), (#"{"reports":"1"}"#, "'reports'"),
    (#"{"reports":1,"reports":2}"#, "JSON"), (#"{"reports":1e9}"#, "'reports'"),
    (#"{"interval_seconds":-1}"#, "'interval_seconds'"),
    (#"{"interval_seconds":1e999}"#, "'interval_seconds'"),
    (#"{"format":"xml"}"#, "'format'"), (#"{"names":true}"#, "'names'"), (#"{"dry_run":1}"#, "'dry_run'"),
    (String(repeating: "[", count: 100_000), "JSON"),
  ])
  func `rejects a bad event with a precise error, and handles the next one`(
    event: String, named: String
  ) async throws {
    try await withEmulator { emulator, lines in
      let refused = await emulator.invoke(InvocationRequest(event: Array(event.utf8)))
      #expect(refused.failure == .reported(type: "Function.InvalidEvent"))
      let error = try JSONValue(parsing: await refused.complete().body)
      #expect(error["errorType"]?.string == "Function.InvalidEvent")
      #expect(error["errorMessage"]?.string?.contains(named) == true, "\(error)")
      #expect(error["stackTrace"]?.array != nil)
      let next = await emulator.invoke(InvocationRequest(event: Array(#"{"reports":1}"#.utf8)))
      #expect(next.failure == nil)
      #expect(emulator.publishes.count == 1)
    }
  }

  @Test(
    arguments: [
      (["AWS_SECRET_ACCESS_KEY": "wrong"], "signature we calculated"),
      (["AWS_SESSION_TOKEN": "wrong"], "security token"), (["AWS_SESSION_TOKEN": ""], "security token"),
      (["AWS_ACCESS_KEY_ID": "AKIDWRONG"], "security token"), (["AWS_REGION": "eu-west-1"], "valid region"),
    ] as [([String: String], String)])
  func `reports a rejected signature in its response and in its log`(
    variables: [String: String], words: String
  ) async throws {
    let run = try await invoke(#"{"reports":1}"#, variables)
    #expect(run.failure == .reported(type: "Function.PublishFailed"))
    #expect(run.answer["errorMessage"]?.string?.contains(words) == true)
    #expect(run.output.contains { $0.contains(words) })
    #expect(!run.publishes.isEmpty)
    for publish in run.publishes {
      guard case .refused(status: 403, let message, _) = publish.verdict else {
        Issue.record("\(publish.verdict)")
        continue
      }
      #expect(message.contains(words))
    }
  }

  @Test func `publishes no secret, and logs none`() async throws {
    let credentials = TemporaryCredentials.random()
    for secret in [credentials.secretAccessKey, "wrong/secret+key"] {
      let run = try await invoke(
        #"{"reports":1}"#,
        ["AWS_SECRET_ACCESS_KEY": secret, "AWS_LAMBDA_LOG_LEVEL": "TRACE"], credentials: credentials)
      let published = run.publishes.map { String(decoding: $0.payload, as: UTF8.self) }
      let texts = run.output + run.platform + published + [run.answer.prettyPrinted()]
      #expect(texts.allSatisfy { !$0.contains(secret) && !$0.contains(credentials.sessionToken) })
    }
  }

  @Test(
    arguments: [
      (["AWS_IOT_THING_NAME": ""], ["AWS_IOT_THING_NAME"]),
      (["SAMPLE_INTERVAL_SECONDS": "often"], ["SAMPLE_INTERVAL_SECONDS", "often"]),
      (["SAMPLE_INTERVAL_SECONDS": "-1"], ["SAMPLE_INTERVAL_SECONDS"]),
      (["AWS_REGION": "", "AWS_DEFAULT_REGION": ""], ["AWS_REGION"]),
      (["DEFENDER_FORMAT": "xml"], ["DEFENDER_FORMAT", "xml"]), (["DEFENDER_NAMES": "x"], ["DEFENDER_NAMES"]),
      (["DEFENDER_TOPIC": "a/#"], ["DEFENDER_TOPIC"]),
      (["DEFENDER_TRANSPORT": "pigeon"], ["DEFENDER_TRANSPORT"]),
      (["DEFENDER_MAX_LIST_SIZE": "many"], ["DEFENDER_MAX_LIST_SIZE"]),
      (["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "nowhere"], ["AWS_ENDPOINT_URL_IOT_DATA_PLANE"]),
      (
        ["AWS_IOT_THING_NAME": "", "DEFENDER_FORMAT": "xml", "SAMPLE_INTERVAL_SECONDS": ""],
        ["AWS_IOT_THING_NAME", "DEFENDER_FORMAT"]
      ),
    ] as [([String: String], [String])])
  func `reports an invalid configuration to Lambda, with every faulty variable`(
    variables: [String: String], named: [String]
  ) async throws {
    let run = try await invoke(#"{"reports":1}"#, variables)
    guard case .initialization(let type) = run.failure else {
      Issue.record("\(String(describing: run.failure))")
      return
    }
    #expect(type.hasPrefix("Function.") && type != "Function.Unknown")
    let message = run.answer["errorMessage"]?.string ?? ""
    for name in named {
      #expect(message.contains(name), "\(message)")
      #expect(run.output.contains { $0.contains(name) })
    }
    #expect(run.publishes.isEmpty)
  }

  @Test func `omits what procfs doesn't contain, and logs it`() async throws {
    let procfs = try TemporaryDirectory()
    var random = SeededRandom(seed: 9)
    let noise = (0..<5_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    try procfs.write("net/tcp", noise)
    try procfs.write("net/udp", try fixture("proc/basic/t0/net/udp"))
    try procfs.write("net/dev", try fixture("proc/basic/t0/net/dev"))
    let run = try await invoke(#"{"reports":2,"interval_seconds":0.1}"#, ["PROCFS_PATH": procfs.path])
    #expect(run.failure == nil)
    #expect(run.publishes.count == 2)
    let report = try JSONValue(parsing: try #require(run.publishes.last).payload)
    let metrics = try #require(report["metrics"]?.members)
    // The report omits unreadable values. A zero would be wrong.
    #expect(metrics.map(\.name).sorted() == ["listening_udp_ports", "network_stats"])
    #expect(run.output.contains { $0.contains("\(procfs.path)/net/tcp") })
  }

  @Test(arguments: ["garbage", "truncated", "empty", "huge-counters", "wrap", "crlf", "no-header", "large"])
  func `reports of a procfs in any state`(name: String) async throws {
    for moment in ["t0", "t1"] {
      let run = try await invoke(#"{"reports":1}"#, ["PROCFS_PATH": fixturePath("proc/\(name)/\(moment)")])
      #expect(run.failure == nil)
      #expect(run.publishes.map(\.verdict) == [.accepted])
    }
  }

  @Test func `fails and publishes nothing if nothing can be read`() async throws {
    let procfs = try TemporaryDirectory()
    let run = try await invoke(#"{"reports":1}"#, ["PROCFS_PATH": procfs.path])
    #expect(run.failure == .reported(type: "Function.PublishFailed"))
    #expect(run.publishes.isEmpty)
  }

  /// Responses of a faulty IoT endpoint, and a part of the expected error.
  enum BadAnswer: String, CaseIterable, Sendable {
    case internalError, unavailable, throttled, notFound, redirect, garbage, notHTTP, nothing, cutOff,
      tooLarge
    case silence

    var reply: LoopbackServer.Reply {
      switch self {
      case .internalError:
        .response(500, [("x-amzn-ErrorType", "InternalFailureException")], body: #"{"message":"no"}"#)
      case .unavailable: .response(503, body: "<html>")
      case .throttled: .response(429, [("x-amzn-ErrorType", "ThrottlingException")], body: "{}")
      case .notFound: .response(404, body: "")
      case .redirect: .response(301, [("Location", "http://127.0.0.1:1/")], body: "")
      case .garbage: .sendAndClose((0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 97) })
      case .notHTTP: .sendAndClose(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))
      case .nothing: .sendAndClose([])
      case .cutOff: .sendAndClose(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".utf8))
      case .tooLarge:
        .send(LoopbackServer.Reply.response(200, body: [UInt8](repeating: 0x20, count: 3 << 20)))
      case .silence: .hold
      }
    }

    var status: String? {
      switch self {
      case .internalError: "500"
      case .unavailable: "503"
      case .throttled: "429"
      case .notFound: "404"
      case .redirect: "301"
      default: nil
      }
    }
  }

  @Test(arguments: BadAnswer.allCases)
  func `reports a faulty response of the endpoint, and handles the next event`(bad: BadAnswer) async throws {
    let isRepaired = Mutex(false)
    let server = try LoopbackServer { _ in
      isRepaired.withLock { $0 } ? .response(200, body: #"{"message":"OK"}"#) : bad.reply
    }
    let variables = ["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://\(server.authority)"]
    try await withEmulator(variables) { emulator, lines in
      let request = InvocationRequest(event: Array(#"{"reports":1}"#.utf8))
      let failed = await emulator.invoke(request)
      #expect(failed.failure == .reported(type: "Function.PublishFailed"))
      let error = try JSONValue(parsing: await failed.complete().body)
      if let status = bad.status {
        #expect(error["errorMessage"]?.string?.contains(status) == true, "\(error)")
      }
      #expect(lines.output.contains { $0.contains("[ERROR]") })
      isRepaired.withLock { $0 = true }
      #expect(await emulator.invoke(request).failure == nil)
      #expect(lines.starts == 1, "it was started twice")
    }
  }

  @Test func `reports that nothing listens at the endpoint`() async throws {
    let run = try await invoke(
      #"{"reports":1}"#, ["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://127.0.0.1:1"])
    #expect(run.failure == .reported(type: "Function.PublishFailed"))
    #expect(run.answer["errorMessage"]?.string?.contains("127.0.0.1:1") == true)
  }

  @Test func `publishes over several interfaces of a name that needs encoding`() async throws {
    let run = try await invoke(
      #"{"reports":1}"#,
      ["AWS_IOT_THING_NAME": "pump_1:a-b", "DEFENDER_TOPIC": "lager nord/é%2F$/{thing}/{format}"])
    #expect(run.failure == nil)
    #expect(run.publishes.map(\.topic) == ["lager nord/é%2F$/pump_1:a-b/json"])
    #expect(run.publishes.map(\.verdict) == [.accepted])
  }
}

// MARK: The emulator around the built program

/// The result of one invocation.
private struct Run {
  let port: Int
  let failure: InvocationResult.Failure?
  let answer: JSONValue
  let publishes: [ReceivedPublish]
  let output: [String]
  let platform: [String]
}

private func invoke(
  _ event: String, _ variables: [String: String] = [:], timeout: Int = 60,
  credentials: TemporaryCredentials = .random()
) async throws -> Run {
  try await withEmulator(variables, timeout: timeout, credentials: credentials) { emulator, lines in
    let result = await emulator.invoke(InvocationRequest(event: Array(event.utf8))).complete()
    return Run(
      port: emulator.port, failure: result.failure, answer: try JSONValue(parsing: result.body),
      publishes: emulator.publishes, output: lines.output, platform: lines.platform)
  }
}

private func withEmulator<Result: Sendable>(
  _ variables: [String: String] = [:], timeout: Int = 60, credentials: TemporaryCredentials = .random(),
  _ body: @Sendable (Emulator, Lines) async throws -> Result
) async throws -> Result {
  var function = FunctionConfiguration(
    bootstrap: try BuiltProgram("bootstrap").path, timeout: .seconds(timeout))
  function.environment = ["DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.1"].merging(variables) { _, own in own }
  var configuration = Emulator.Configuration(function: function)
  configuration.credentials = credentials
  return try await Lines.ofEmulator(configuration, body)
}
