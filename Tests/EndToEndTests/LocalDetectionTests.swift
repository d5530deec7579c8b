import Foundation
import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of `--detect`: reports that reach the local AWS IoT endpoint are evaluated by a second process, with detect_handler.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The local detection` {
  private static let root = URL(filePath: fixturePath("../..")).standardizedFileURL.path
  private static let topic = "arn:aws:sns:us-east-1:123456789012:alarms"

  /// A profile that allows the given listening TCP ports, with a topic for alerts.
  private static func profile(_ ports: String, name: String = "ports") -> String {
    """
    {"securityProfileName":"\(name)","alertTargets":{"SNS":{"alertTargetArn":"\(topic)",
    "roleArn":"arn:aws:iam::123456789012:role/alarms"}},"behaviors":[{"name":"open",
    "metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[\(ports)]}}}]}
    """
  }

  /// Returns the events among lines of output.
  private func events(_ output: String) -> [JSONValue] {
    output.split(separator: "\n").filter { $0.hasPrefix(#"{"violationId":"#) }.compactMap { line in
      try? JSONValue(parsing: Array(line.utf8))
    }
  }

  private func invoke(
    _ arguments: [String], in directory: TemporaryDirectory, _ environment: [String: String] = [:]
  ) async throws -> BuiltProgram.Result {
    try await BuiltProgram("defender").run(
      ["invoke"] + arguments,
      environment: ["TMPDIR": directory.path, "AWS_IOT_THING_NAME": "pump-7"].merging(environment) { $1 })
  }

  @Test func `ends an invocation with the alarm that it raised for its reports`() async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile("22,443"))
    let run = try await invoke(["--detect", profile], in: directory)
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(run.output.contains("2 reports of this machine were published"), "\(run.output)")
    #expect(run.output.contains("evaluated the reports with 'ports' and found 1 violation event:\n{"))
    let event = try #require(events(run.output).first)
    #expect(run.output.hasSuffix("}\n") && events(run.output).count == 1)
    #expect(event["violationEventType"]?.string == "in-alarm" && event["thingName"]?.string == "pump-7")
    // The emulator itself listens on one of these ports.
    let ports = try #require(event["metricValue"]?["ports"]?.array)
    #expect(!ports.isEmpty)
    #expect(run.errorText.contains("An alert for the SNS topic \(Self.topic): in-alarm: open of pump-7"))
    // Nothing is left behind.
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(left == ["profile.json"])
  }

  @Test func `continues an alarm from a private state file, and ends it with the same id`() async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile("22,443"))
    let state = "\(directory.path)/state.json"
    let arguments = ["--detect", profile, "--detect-state", state]
    let first = try await invoke(arguments, in: directory)
    var status = stat()
    try #require(unsafe stat(state, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    let active = try await violations(["--active"], in: state)
    let listed = try await violations(["--thing", "pump-7", "--since", "1h"], in: state)
    for (list, name) in [(active, "activeViolations"), (listed, "violationEvents")] {
      #expect(
        list[name]?.array?.map { $0["violationId"]?.string } == [
          events(first.output).first?["violationId"]?.string
        ]
      )
    }
    let second = try await invoke(arguments, in: directory)
    #expect(events(second.output).isEmpty && second.output.hasSuffix("found no violation.\n"))
    // The profile allows everything now, so the behavior changed and its alarm becomes invalid.
    let all = (0...65_535).map(String.init).joined(separator: ",")
    try directory.write("profile.json", Self.profile(all))
    let third = try await invoke(arguments, in: directory)
    #expect(
      events(third.output).map { $0["violationEventType"]?.string } == ["alarm-invalidated"],
      "\(third.output)\(third.errorText)")
    #expect(
      events(third.output).first?["violationId"]?.string == events(first.output).first?["violationId"]?.string
    )
  }

  /// Returns what `defender violations` lists of a state file, without AWS.
  private func violations(_ arguments: [String], in state: String) async throws -> JSONValue {
    let run = try await BuiltProgram("defender").run(["violations", "--state", state] + arguments)
    #expect(run.status == .code(0) && run.errorText.isEmpty, "\(run.errorText)")
    return try JSONValue(parsing: Array(run.output.utf8))
  }

  @Test func `violations names a state file that it can't use`() async throws {
    let directory = try TemporaryDirectory()
    let damaged = try directory.write("damaged.json", "{")
    for (path, words) in [
      (damaged, "The state in '\(damaged)' can't be used: it is malformed at byte 1. Remove the file"),
      ("missing.json", "The state in 'missing.json' can't be read: "),
    ] {
      let run = try await BuiltProgram("defender").run(["violations", "--active", "--state", path])
      #expect(run.status == .code(1) && run.output.isEmpty)
      #expect(run.errorText.contains(words), "\(run.errorText)")
    }
  }

  @Test func `reports a damaged state file and fails, and doesn't replace it`() async throws {
    let directory = try TemporaryDirectory()
    let profile = try directory.write("profile.json", Self.profile("22"))
    let state = try directory.write("state.json", #"{"version":1,"states":"none"}"#)
    let run = try await invoke(["--detect", profile, "--detect-state", state], in: directory)
    #expect(run.status == .code(1))
    #expect(
      run.errorText.contains(
        "The state in '\(state)' can't be used: it has no list 'states'. Remove the file to start without a state."
      ),
      "\(run.errorText)")
    #expect(run.errorText.contains("dropped after 3 deliveries"), "\(run.errorText)")
    #expect(String(decoding: try fileContents(state), as: UTF8.self) == #"{"version":1,"states":"none"}"#)
  }

  @Test(arguments: ["invoke", "emulator"])
  func `starts nothing with a profile that it can't use`(command: String) async throws {
    let directory = try TemporaryDirectory()
    let wrong = try directory.write("wrong.json", Self.profile("70000"))
    let good = try directory.write("good.json", Self.profile("22"))
    let same = try directory.write("same.json", Self.profile("443"))
    let missing = "\(directory.path)/missing.json"
    for (files, words) in [
      ([wrong], "wrong.json: line 3"), ([missing], "missing.json: It can't be read: "),
      ([good, same], "Both \(good) and \(same) have the profile 'ports'."),
      (["/dev/null"], "/dev/null: It isn't a regular file."),
    ] {
      let run = try await BuiltProgram("defender").run(
        [command, "--detect"] + files, environment: ["TMPDIR": directory.path])
      #expect(run.status == .code(2), "\(files)")
      #expect(run.errorText.contains(words) && run.errors.count == 1, "\(run.errorText)")
    }
    let run = try await BuiltProgram("defender").run([command, "--detect-state", "x"])
    #expect(run.status == .code(64) && run.errorText.contains("--detect-state needs --detect"))
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(left.sorted() == ["good.json", "same.json", "wrong.json"])
  }

  @Test func `prints the events of other devices' reports, in JSON and CBOR, as lines`() async throws {
    let directory = try TemporaryDirectory()
    let ports = try directory.write("ports.json", Self.profile("22"))
    let named = try directory.write(
      "things.json", #"{"things":["valve-*"],"profile":\#(Self.profile("1", name: "b"))}"#)
    let emulator = try startEmulator(
      ["--port", "0", "--iot-port", "0", "--detect", ports, named], in: directory)
    let json =
      #"{"header":{"report_id":1,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":8080}],"total":1}}}"#
    let file = try directory.write("report.json", json)
    let cbor = try directory.write("report.cbor", Self.cbor(port: 23))
    let defender = try BuiltProgram("defender").path
    for (topic, payload) in [
      ("device-defender/pump-1/metrics/json", file),
      ("$aws/rules/detect/device-defender/valve-2/metrics/cbor", cbor),
      ("device-defender/valve-3/other/json", file),
    ] {
      let run = try await paste(
        emulator.pasted, "'\(defender)' publish --topic '\(topic)' --payload-file '\(payload)'")
      #expect(run.status == .code(0), "\(run.errorText)")
    }
    let found = try await waitForEvents(3, emulator.log)
    let alarms = found.map { event in
      "\(event["thingName"]?.string ?? "") \(event["securityProfileName"]?.string ?? "") "
        + "\(event["metricValue"]?["ports"]?.array?.compactMap { $0.integer(as: Int.self) } ?? [])"
    }
    #expect(alarms.sorted() == ["pump-1 ports [8080]", "valve-2 b [23]", "valve-2 ports [23]"])
    // The next report of a thing ends its alarm.
    let conforming = try directory.write(
      "next.json", json.replacing("8080", with: "22").replacing(":1,", with: ":2,"))
    _ = try await paste(
      emulator.pasted,
      "'\(defender)' publish --topic device-defender/pump-1/metrics/json --payload-file '\(conforming)'")
    let ended = try await waitForEvents(4, emulator.log)
    #expect(ended.last?["violationEventType"]?.string == "alarm-cleared")
    #expect(ended.last?["violationId"] == found.first { $0["thingName"]?.string == "pump-1" }?["violationId"])
    emulator.program.stop()
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(!left.contains { $0.hasPrefix("defender-emulator") }, "\(left)")
  }

  /// Waits until the emulator has printed `count` events, and returns them.
  private func waitForEvents(_ count: Int, _ log: String) async throws -> [JSONValue] {
    let deadline = BootTime.now.advanced(by: .seconds(60))
    while true {
      let text = String(decoding: try fileContents(log), as: UTF8.self)
      let found = events(text)
      if found.count >= count { return found }
      try #require(BootTime.now < deadline, "\(text)")
      poll(nil, 0, 20)
    }
  }

  /// Returns a report in CBOR with one listening port.
  private static func cbor(port: UInt64) -> [UInt8] {
    var document = CBORWriter()
    document.beginMap(count: 2)
    document.key("header")
    document.beginMap(count: 2)
    document.member("report_id", 1)
    document.member("version", "1.0")
    document.endMap()
    document.key("metrics")
    document.beginMap(count: 1)
    document.key("listening_tcp_ports")
    document.beginMap(count: 2)
    document.key("ports")
    document.beginList(count: 1)
    document.beginMap(count: 1)
    document.member("port", port)
    document.endMap()
    document.endList()
    document.member("total", 1)
    document.endMap()
    document.endMap()
    document.endMap()
    return document.bytes
  }

  @Test(arguments: [
    (["--detect"], "<--detect><PROFILE>", ""),
    (["--detect", "--timeout", "9"], "<--detect><PROFILE><--timeout><9>", ""),
    (["--detect", "a.json", "b.json"], "<--detect><a.json><b.json>", ""),
    (["--detect=a.json"], "<--detect=a.json>", ""),
    ([], "", "PROFILE"), (["--event", "{}"], "<--event><{}>", "PROFILE"),
  ])
  func `lambda/run names a profile for --detect if there is none, and then has none on the device`(
    arguments: [String], passed: String, onDevice: String
  ) async throws {
    // A copy of the script, whose tools are stubs.
    let copy = try TemporaryDirectory()
    for name in ["run", "arguments.sh"] {
      try copy.writeProgram("lambda/\(name)", try fileContents("\(Self.root)/lambda/\(name)"))
    }
    try copy.writeProgram("lambda/setup", "#!/bin/sh\n")
    try copy.writeProgram("swift", "#!/bin/sh\n")
    try copy.writeProgram(
      ".build/debug/defender", "#!/bin/sh\nprintf '<%s>' \"$@\"\necho \" $DEFENDER_SECURITY_PROFILES\"\n")
    let run = try await BuiltProgram(path: "\(copy.path)/lambda/run").run(
      arguments, environment: ["PATH": "\(copy.path):/usr/bin:/bin"])
    let output = run.output.replacing("\(copy.path)/lambda/examples/security-profile.json", with: "PROFILE")
    #expect(output == "<invoke>\(passed) \(onDevice)\n", "\(run.errorText)")
  }
}
