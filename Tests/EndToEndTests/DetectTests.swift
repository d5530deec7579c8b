import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built `defender detect`.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `defender detect` {
  private static let profile = #"""
    {"securityProfileName": "sensors", "behaviors": [
      {"name": "ports", "metric": "aws:listening-tcp-ports", "criteria": {
        "comparisonOperator": "in-port-set", "value": {"ports": [22]}}},
      {"name": "learned", "metric": "aws:all-bytes-in", "criteria": {
        "mlDetectionConfig": {"confidenceLevel": "HIGH"}}}]}
    """#

  private func defender() throws -> BuiltProgram { try BuiltProgram("defender") }

  private func report(_ id: Int, _ port: Int) -> String {
    #"{"header":{"report_id":\#(id),"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":\#(port)}],"total":1}}}"#
      + "\n"
  }

  @Test func `prints an event a line and how many baselines learn, and exits with 0`() async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profile.json", Self.profile)
    let input = report(10, 22) + report(20, 8080) + "{\"header\"\n" + report(20, 22) + report(30, 22)
    let run = try await defender().run(
      ["detect", "run", "--profile", "\(directory.path)/profile.json", "--thing", "pump-7", "-"],
      input: Array(input.utf8))
    #expect(run.status == .code(0))
    let events = try run.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
    #expect(events.map { $0["violationEventType"]?.string } == ["in-alarm", "alarm-cleared"])
    #expect(events.map { $0["violationEventTime"] } == [.number("20"), .number("30")])
    #expect(
      events.allSatisfy {
        $0["thingName"]?.string == "pump-7" && $0["securityProfileName"]?.string == "sensors"
      })
    #expect(!run.errors.contains { $0.contains("isn't evaluated") })
    #expect(run.errors.contains { $0.hasPrefix("defender: Learned baselines still learning: 1 of 1.") })
    #expect(run.errors.contains { $0.contains("Report 3, at byte ") && $0.contains(" is skipped: ") })
    #expect(run.errors.contains("defender: Reports skipped: 1, for the reasons above."))
    #expect(run.errors.last?.hasPrefix("defender: Reports ignored: 1. Their report_id") == true)
  }

  @Test func `continues from a state and fails on an alarm if asked to`() async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profile.json", Self.profile)
    let arguments = [
      "detect", "run", "--profile", "\(directory.path)/profile.json", "--state", "\(directory.path)/state",
      "--fail-on-alarm",
    ]
    let first = try await defender().run(arguments, input: Array(report(10, 80).utf8))
    #expect(first.status == .code(3))
    let second = try await defender().run(arguments, input: Array((report(10, 81) + report(11, 22)).utf8))
    #expect(second.status == .code(0))
    let events = try (first.output + second.output).split(separator: "\n").map {
      try JSONValue(parsing: Array($0.utf8))
    }
    #expect(events.map { $0["violationEventType"]?.string } == ["in-alarm", "alarm-cleared"])
    #expect(Set(events.map { $0["violationId"]?.string }).count == 1)
    _ = try directory.write("state", "{}")
    let third = try await defender().run(arguments)
    #expect(third.status == .code(2) && third.errorText.contains("the member 'version' is missing"))
  }

  @Test func `saves no state if events are lost`() async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile)
    let reports = try directory.write("reports", report(10, 80))
    let state = "\(directory.path)/state"
    let arguments = ["detect", "run", "--profile", profile, "--state", state, reports]
    let command = try ([defender().path] + arguments).map { "'\($0)'" }.joined(separator: " ")
    let lost = unsafe system("exec \(command) >/dev/full 2>'\(directory.path)/errors'")
    #expect(lost >> 8 == 74)
    let errors = String(decoding: try readFile("\(directory.path)/errors", limit: 10_000), as: UTF8.self)
    #expect(errors.contains("The state isn't saved, because events were lost."), "\(errors)")
    #expect(unsafe access(state, F_OK) != 0)
    let again = try await defender().run(arguments)
    #expect(again.status == .code(0) && again.output.contains("in-alarm"))
    #expect(unsafe access(state, F_OK) == 0)
  }

  @Test(arguments: [
    ("/dev/full", "can't be kept in '/dev/full': it isn't a regular file."),
    ("/dev/null", "can't be kept in '/dev/null': it isn't a regular file."),
    ("/", "can't be kept in '/': it isn't a regular file."),
    ("/nonexistent/state", "can't be saved to '/nonexistent/state': No such file or directory (errno 2)."),
  ])
  func `rejects a state that can't be saved, before it reads reports`(path: String, reason: String)
    async throws
  {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile)
    let run = try await defender().run(
      ["detect", "run", "--profile", profile, "--state", path, "-"], input: Array(report(10, 80).utf8))
    #expect(run.status == .code(2) && run.output.isEmpty)
    #expect(run.errors == ["defender: The state \(reason)"], "\(run.errors)")
  }

  @Test func `reports an alarm by its status even if another input can't be read`() async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile)
    let reports = try directory.write("reports", report(10, 80))
    for (options, status) in [(["--fail-on-alarm"], 3), ([], 1)] as [([String], Int32)] {
      let run = try await defender().run(
        ["detect", "run", "--profile", profile] + options + ["/nonexistent", reports])
      #expect(run.status == .code(status))
      #expect(run.errorText.contains("'/nonexistent' can't be read"), "\(run.errorText)")
      #expect(run.output.contains("in-alarm"))
    }
  }

  @Test func `evaluates what collect prints`() async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profile.json", Self.profile)
    for format in [[], ["--compact"], ["--short-names"], ["--format", "cbor"]] {
      let file = "\(directory.path)/reports"
      let collected = try await defender().run(
        ["collect", "--procfs", fixturePath("proc/basic/t1"), "--output", file] + format)
      #expect(collected.status == .code(0))
      let run = try await defender().run(
        ["detect", "run", "--profile", "\(directory.path)/profile.json", "--fail-on-alarm", file])
      #expect(run.status == .code(3), "\(format): \(run.errorText)")
    }
  }

  @Test(arguments: [[], ["--watch"]])
  func `collect logs violations as they happen`(options: [String]) async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profile.json", Self.profile)
    let run = try await defender().run(
      ["collect", "--procfs", fixturePath("proc/basic/t1"), "-n", "2", "-s", "0.01", "-l", "0"] + options
        + ["--profile", "\(directory.path)/profile.json"])
    #expect(run.status == .code(0))
    #expect(
      run.errors.count { $0.contains("in-alarm: ports of sensors, aws:listening-tcp-ports: ") } == 1,
      "\(run.errors)")
    let wrong = try await defender().run(["collect", "--profile", "/nonexistent"] + options)
    #expect(wrong.status == .code(2) && wrong.errorText.contains("/nonexistent: It can't be read"))
  }

  @Test func `validates profiles, for people and in AWS's shape`() async throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("good.json", Self.profile)
    _ = try directory.write("bad.json", "[\n{\"name\":\"a\",\"metric\":\"aws:cpu\",\"criteria\":{}}]")
    let good = try await defender().run(["detect", "validate", "\(directory.path)/good.json"])
    #expect(good.status == .code(0))
    #expect(good.output == "\(directory.path)/good.json: 'sensors' is valid, with 2 behaviors.\n")
    _ = try directory.write(
      "one.json",
      #"[{"name":"a","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}}]"#
    )
    let one = try await defender().run(["detect", "validate", "\(directory.path)/one.json"])
    #expect(one.output == "\(directory.path)/one.json: 'one' is valid, with 1 behavior.\n")
    let bad = try await defender().run(["detect", "validate", "\(directory.path)/bad.json"])
    #expect(bad.status == .code(1))
    #expect(
      bad.output.hasPrefix("\(directory.path)/bad.json: line 2: behaviors[0].metric: 'aws:cpu' is an unknown")
    )
    let json = try await defender().run(
      ["detect", "validate", "--json", "\(directory.path)/good.json", "\(directory.path)/bad.json"])
    let answers = try json.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
    #expect(answers.map { $0["valid"]?.boolean } == [true, false])
    #expect(answers.map { $0["validationErrors"]?.array?.count } == [0, 1])
    #expect(
      answers.last?["validationErrors"]?.array?.first?["errorMessage"]?.string?.contains("line 2") == true)
  }

  @Test
  func `writes a page that only its owner can read, replaces it as a whole, and counts what it can't read`()
    async throws
  {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profile.json", Self.profile)
    let start = 1_795_460_000
    let input = report(start, 22) + report(start + 300, 8080) + "{\"header\"\n" + report(start, 22)
    _ = try directory.write("reports.jsonl", input)
    let arguments = ["detect", "report", "--profile", "\(directory.path)/profile.json", "--thing", "pump-7"]
    let page = "\(directory.path)/page.html"
    let file = try await defender().run(arguments + ["\(directory.path)/reports.jsonl", "--html", page])
    #expect(file.status == .code(0) && file.output.isEmpty)
    #expect(file.errors.contains { $0.contains("Report 3, at byte ") && $0.contains(" is skipped: ") })
    #expect(file.errors.suffix(2).first == "defender: Reports skipped: 1, for the reasons above.")
    #expect(file.errors.last?.hasPrefix("defender: Reports ignored: 1. Their report_id") == true)
    let written = try readFile(page, limit: 1_000_000)
    #expect(try permissions(of: page) == 0o600)
    // Standard output gets the same bytes.
    let output = try await defender().run(arguments + ["--html", "-"], input: Array(input.utf8))
    #expect(output.status == .code(0))
    let text = String(decoding: written, as: UTF8.self)
    #expect(text.contains("<h1>1 of 1 thing in alarm</h1>") && text.contains("TCP 8080"))
    #expect(text.contains("2 reports of 1 thing evaluated, 1 skipped"))
    #expect(output.output.contains("<h1>1 of 1 thing in alarm</h1>"))
    // An input that ends early: the page says so, and so does the exit status.
    let missing = try await defender().run(
      arguments + ["\(directory.path)/missing", "\(directory.path)/reports.jsonl", "--html", page])
    #expect(missing.status == .code(1) && missing.errorText.contains("missing' can't be read"))
    let replaced = String(decoding: try readFile(page, limit: 1_000_000), as: UTF8.self)
    #expect(replaced.contains("Input incomplete") && replaced.contains("missing&#39; can&#39;t be read"))
    let wrong = try await defender().run(arguments + ["--html", "/nonexistent/page.html", "/dev/null"])
    #expect(
      wrong.status == .code(2) && wrong.errorText.contains("Can't write the page to '/nonexistent/page"))
    let full = try await defender().run(arguments + ["--html", "/dev/full", "/dev/null"])
    #expect(full.status == .code(74))
  }

  @Test(arguments: [["report", "--html"], ["run", "--state"]])
  func `leaves no temporary file if Ctrl-C ends it`(command: [String]) throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile)
    let terminal = try PseudoTerminal()
    try terminal.start(
      try defender(), ["detect"] + command + ["\(directory.path)/output", "--profile", profile, "-"])
    try terminal.type("x\n")
    // By then it has opened its files, and waits for input.
    try terminal.read { $0.contains("is skipped") }
    try terminal.type("\u{03}")
    #expect(try terminal.wait() == 128 + SIGINT)
    #expect(unsafe system("test \"$(ls -A '\(directory.path)')\" = profile.json") == 0)
  }

  @Test(arguments: [["report", "--html"], ["run", "--state"]])
  func `refuses to replace one of its inputs`(command: [String]) async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile)
    let reports = try directory.write("reports", report(10, 80))
    let link = "\(directory.path)/link"
    try #require(unsafe symlink(reports, link) == 0)
    for (output, input) in [(reports, reports), (link, reports), (reports, link), (profile, profile)] {
      let run = try await defender().run(
        ["detect"] + command + [output, "--profile", profile, input == profile ? reports : input])
      #expect(run.status == .code(2) && run.output.isEmpty)
      let reason = "it would replace the input '\(input)'. Name another file."
      #expect(run.errorText.contains(reason), "\(run.errorText)")
    }
    let program = try defender().path
    let words = (["'\(program)'", "detect"] + command).joined(separator: " ")
    let status = unsafe system(
      "\(words) '\(reports)' --profile '\(profile)' - <'\(reports)' 2>'\(directory.path)/errors'")
    #expect(status >> 8 == 2)
    let errors = String(decoding: try readFile("\(directory.path)/errors", limit: 10_000), as: UTF8.self)
    #expect(errors.contains("it would replace the file that is standard input."), "\(errors)")
    #expect(try readFile(reports, limit: 10_000) == Array(report(10, 80).utf8))
    #expect(try readFile(profile, limit: 10_000) == Array(Self.profile.utf8))
  }

  @Test func `run ends with a summary on a terminal, and only there`() async throws {
    let directory = try TemporaryDirectory()
    let behaviors = #"""
      [{"name": "ports", "metric": "aws:listening-tcp-ports", "criteria": {
        "comparisonOperator": "in-port-set", "value": {"ports": [22]}}}]
      """#
    let profile = try directory.write("profile.json", behaviors)
    let quiet = try directory.write("quiet", report(10, 22) + report(20, 22))
    let empty = try directory.write("empty", "")
    let loud = try directory.write("loud", report(10, 80) + report(20, 22) + report(30, 80))
    for (reports, summary) in [
      (quiet, "Reports read: 2. Things: 1. Alarms raised: 0."),
      (empty, "Reports read: 0. Things: 0. Alarms raised: 0."),
      (loud, "Reports read: 3. Things: 1. Alarms raised: 2."),
    ] {
      let arguments = ["detect", "run", "--profile", profile, reports]
      let terminal = try PseudoTerminal()
      try terminal.start(try defender(), arguments)
      #expect(try terminal.wait() == 0)
      #expect(terminal.output.contains("defender: \(summary)"), "\(terminal.output)")
      let run = try await defender().run(arguments)
      #expect(run.status == .code(0) && run.errors == [], "\(run.errorText)")
    }
  }

  private func permissions(of path: String) throws -> UInt32 {
    var status = stat()
    _ = try retryingOnInterrupt { unsafe stat(path, &status) }
    return status.st_mode & 0o7777
  }

  @Test(arguments: [
    (["detect", "run", "-"], 64), (["detect", "report", "--html", "-", "-"], 64),
    (["detect", "report", "--profile", "/dev/null", "-"], 64),
    (["detect", "report", "--profile", "/nonexistent", "--html", "-", "/dev/null"], 2),
    (["detect", "run", "--profile", "/nonexistent", "-"], 2),
    (["detect", "validate"], 64), (["detect", "validate", "/nonexistent"], 2),
    (["detect", "run", "--profile", "/dev/null", "--thing", "a b"], 64),
    (["detect", "run", "--profile", "/dev/null", "-", "-"], 64),
  ])
  func `rejects a wrong command line`(arguments: [String], status: Int) async throws {
    let run = try await defender().run(arguments)
    #expect(run.status == .code(Int32(status)), "\(run.errorText)")
    #expect(!run.errorText.isEmpty && run.output.isEmpty)
  }
}
