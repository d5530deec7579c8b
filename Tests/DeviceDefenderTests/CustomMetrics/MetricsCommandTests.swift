import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

@Suite struct `A metrics command` {
  private func snapshot(_ script: String, choices: String = "", _ log: RecordedLog) throws -> MetricsSnapshot
  {
    let directory = try TemporaryDirectory()
    let path = try directory.writeProgram("metrics", "#!/bin/sh\n\(script)\n")
    let environment = Environment(["PATH": "/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": "hidden"])
    let command = try MetricsCommand(path: path, environment: environment)
    var collector = Collector(
      procfs: ProcRoot(), log: log.log(), systemMetrics: try SystemMetric.list(parsing: choices),
      command: command)
    return collector.snapshot()
  }

  @Test func `adds a program's metrics to the report`() throws {
    let log = RecordedLog()
    let snapshot = try snapshot(#"echo '{"queue":[{"number":3}],"peers":[{"ip_list":["192.0.2.1"]}]}'"#, log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["queue", "peers"])
    #expect(log.lines == [])
    let report = Report(id: 1, snapshot: snapshot, baseline: nil)
    let json = try JSONValue(parsing: report.encoded(as: .json, names: .short))
    #expect(json["cmet"]?["queue"]?.array?.first?["number"]?.integer() == 3)
  }

  @Test(arguments: [
    (
      "#!/bin/sh\r\necho '{}'\r\n",
      #"its interpreter '/bin/sh\r' doesn't exist: the first line ends with a carriage return"#
    ),
    ("#!/no/such/python3 -u\n", "its interpreter '/no/such/python3' doesn't exist. Install it"),
    ("#! /no/such/python3", "its interpreter '/no/such/python3' doesn't exist"),
    ("#!\necho '{}'\n", "its first line '#!' names no interpreter"),
    (
      "#!/usr/bin/env python3\r\nprint('{}')\r\n",
      #"env looks for 'python3\r': the first line ends with a carriage return"#
    ),
    ("#!/bin/sh\necho '{}'\n", nil), ("#!/bin/sh", nil), ("#!/usr/bin/env sh\n", nil),
  ])
  func `names a missing interpreter`(contents: String, reason: String?) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.writeProgram("metrics", contents)
    #expect(missingInterpreter(of: path)?.contains(reason ?? "nothing") ?? false == (reason != nil))
    guard let reason else { return }
    let log = RecordedLog()
    let collector = Collector(
      procfs: ProcRoot(), log: log.log(), systemMetrics: [],
      command: try MetricsCommand(path: path, environment: Environment([:])))
    var running = collector
    _ = running.snapshot()
    // `env` may have logged its own line before this one.
    #expect(log.lines.count <= 2)
    #expect(log.lines.last?.contains(path) == true)
    #expect(log.lines.last?.contains(reason) == true, "\(log.lines)")
  }

  @Test func `names a missing loader, but none of a program that doesn't exist`() throws {
    let directory = try TemporaryDirectory()
    // An ELF file without its loader, like a program for another libc.
    let path = try directory.write("metrics", [0x7F, 0x45, 0x4C, 0x46])
    #expect(missingInterpreter(of: path) == nil)
    #expect(reasonNotFound(path)?.contains("loader") == true)
    #expect(reasonNotFound(directory.path + "/other") == nil)
    #expect(missingInterpreter(of: try directory.makePipe("pipe")) == nil)
  }

  @Test(
    arguments: [
      ("exit 1", "ended with status 1"), ("echo '{'", "not JSON at byte"),
      ("echo '[]'", "must be an object"), ("", "not JSON"),
      ("head -c 70000 /dev/zero", "more than 65536 bytes"),
    ])
  func `omits only the metrics of a program that fails`(script: String, words: String) throws {
    let log = RecordedLog()
    let snapshot = try snapshot(script, choices: "uptime", log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["uptime"])
    #expect(throws: Never.self) { try snapshot.listeningTCPPorts.get() }
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains(words) == true, "\(log.lines)")
  }

  @Test func `omits only a malformed metric, and prefers built-in metrics`() throws {
    let log = RecordedLog()
    let script = #"echo '{"a":[{"number":"x"}],"uptime":[{"number":1}],"b":[{"number":2}]}'"#
    let snapshot = try snapshot(script, choices: "uptime", log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["uptime", "b"])
    #expect(snapshot.customMetrics.first?.value != .number(1))
    #expect(log.lines.count == 2)
  }

  @Test func `logs standard error as one line and uses the output`() throws {
    let log = RecordedLog()
    let snapshot = try snapshot(
      #"printf 'no queue\n\033[1mat all\n' >&2; echo '{"queue":[{"number":3}]}'"#, log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["queue"])
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.hasPrefix("[WARN]") == true, "\(log.lines)")
    #expect(
      log.lines.first?.contains(#"metrics wrote 20 bytes to its standard error: no queue\n\u{1B}[1mat all"#)
        == true,
      "\(log.lines)")
  }

  @Test func `logs standard error before the reason why a program failed`() throws {
    let log = RecordedLog()
    _ = try snapshot("printf x >&2; exit 1", log)
    #expect(log.lines.count == 2)
    #expect(
      log.lines.first?.contains("metrics wrote 1 byte to its standard error: x") == true, "\(log.lines)")
    #expect(log.lines.last?.contains("ended with status 1") == true, "\(log.lines)")
  }

  @Test func `logs the beginning of a flood on standard error, and uses the output`() throws {
    let log = RecordedLog()
    let snapshot = try snapshot(
      #"head -c 1048576 /dev/zero | tr '\0' e >&2; echo '{"queue":[{"number":3}]}'"#, log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["queue"])
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("wrote 1048576 bytes") == true)
    #expect(log.lines.first?.count { $0 == "e" } ?? 0 < 4_200)
    #expect(log.lines.first?.contains(String(repeating: "e", count: 4_096) + "…") == true)
  }

  @Test(arguments: [
    "printf 'gone, Authorization: Bearer hunter2' >&2",
    "printf 'gone hunter2wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE' >&2",
    // Only the first 15 bytes of the token are kept.
    #"printf gone >&2; head -c 4141 /dev/zero | tr '\0' ' ' >&2; printf hunter2wJalrXUtnFEMI/K7MDENG/bPxRfi >&2"#,
  ])
  func `masks secrets in standard error, also at the cut`(script: String) throws {
    let log = RecordedLog()
    _ = try snapshot("\(script); echo '{}'", log)
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("gone") == true, "\(log.lines)")
    #expect(log.lines.first?.contains("hunter2") == false, "\(log.lines)")
  }

  @Test func `doesn't wait for a process that keeps standard error open`() throws {
    let log = RecordedLog()
    let start = BootTime.now
    let snapshot = try snapshot(#"sleep 600 >/dev/null & echo '{"queue":[{"number":3}]}'"#, log)
    #expect(snapshot.customMetrics.map(\.name.text) == ["queue"])
    #expect(log.lines == [])
    #expect(start.duration(to: .now) < MetricsCommand.defaultTimeout)
  }

  @Test func `passes no secret to the program`() throws {
    let log = RecordedLog()
    let snapshot = try snapshot(#"echo "{\"x\":[{\"string_list\":[\"s:$AWS_SECRET_ACCESS_KEY\"]}]}""#, log)
    #expect(snapshot.customMetrics.map(\.value) == [.stringList(["s:"])])
  }

  @Test(arguments: ["", "metrics", "./metrics"])
  func `requires an absolute path`(path: String) {
    #expect(throws: CustomMetricError.relativePath(path)) {
      try MetricsCommand(path: path, environment: Environment([:]))
    }
  }
}
