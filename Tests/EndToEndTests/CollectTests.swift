import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests of the built `defender collect` with files and a terminal.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `defender collect` {
  private func defender() throws -> BuiltProgram { try BuiltProgram("defender") }

  /// Returns the JSON documents in a text. Each ends with a line `}`.
  private func reports(in text: String) throws -> [JSONValue] {
    let text = text.replacing("\r\n", with: "\n")
    return try text.split(separator: "\n}\n").map { try JSONValue(parsing: Array("\($0)\n}".utf8)) }
  }

  @Test func `prints one report in a readable form`() async throws {
    let run = try await defender().run(["collect", "--procfs", fixturePath("proc/basic/t1")])
    #expect(run.status == .code(0) && run.errors == [])
    let report = try JSONValue(parsing: Array(run.output.utf8))
    #expect(run.output == "\(report.prettyPrinted())\n")
    #expect(report["metrics"]?["network_stats"] == nil)
    #expect(report["metrics"]?["listening_udp_ports"]?["total"] == .number("4"))
  }

  @Test(
    arguments: [
      ["-n", "3", "-s", "0.01", "-l", "2"], ["-n3", "-s0.01", "-l2"],
      ["--number_samples", "3", "--sample_rate", "0.01", "--list_size", "2"],
      ["--number-samples=3", "--sample-rate=0.01", "--list-size=2"],
      ["--num", "3", "--sam", "0.01", "--li", "2"],
    ])
  func `accepts the Python collector's options in all spellings`(arguments: [String]) async throws {
    let run = try await defender().run(
      ["collect", "--compact", "--procfs", fixturePath("proc/large/t1")] + arguments)
    #expect(run.status == .code(0))
    let reports = try run.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
    #expect(reports.count == 3)
    let ids = reports.compactMap { $0["header"]?["report_id"]?.integer(as: UInt64.self) }
    #expect(ids == ids.sorted() && Set(ids).count == 3)
    #expect(reports.map { $0["metrics"]?["network_stats"] == nil } == [true, false, false])
    for report in reports {
      let connections = report["metrics"]?["tcp_connections"]?["established_connections"]
      #expect(connections?["connections"]?.array?.count == 2)
      #expect((connections?["total"]?.integer() ?? 0) > 2)
    }
  }

  @Test func `adds custom metrics, those that are differences from the second sample on`() async throws {
    for (option, names) in [
      (["-cm"], ["cpu_usage"]), (["--custom-metrics"], ["cpu_usage"]),
      (["-cm", "cpu_usage,load_1m"], ["cpu_usage", "load_1m"]),
    ] {
      let run = try await defender().run(["collect", "-n", "2", "-s", "0.2", "--compact"] + option)
      let reports = try run.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
      try #require(reports.count == 2)
      #expect(reports[0]["custom_metrics"]?["cpu_usage"] == nil)
      #expect(reports[1]["custom_metrics"]?.members?.map(\.name) == names)
    }
  }

  @Test(arguments: ["long", "short"])
  func `writes the same report as JSON and as CBOR, and replaces the file`(names: String) async throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("report", "what was there before, and is longer than the report will be\n")
    let tree =
      ["--procfs", fixturePath("proc/basic/t1"), "-l", "1000"] + (names == "short" ? ["--short-names"] : [])
    let json = try await defender().run(["collect", "--compact"] + tree)
    let cbor = try await defender().run(["collect", "--format", "cbor", "--output", file] + tree)
    #expect(json.status == .code(0) && cbor.status == .code(0) && cbor.output == "")
    let report = try JSONValue(parsing: Array(json.output.utf8))
    let fromFile = try JSONValue(parsingCBOR: fileContents(file))
    let metrics = names == "short" ? "met" : "metrics"
    #expect(report[metrics] != nil && fromFile[metrics] == report[metrics])
  }

  @Test(
    arguments: [
      (["-n", "-1"], 64, "--number-samples is -1"), (["-s", "-1"], 64, "--sample-rate is -1.0"),
      (["-l", "-1"], 2, "--list-size (or DEFENDER_MAX_LIST_SIZE) is '-1'"),
      (["-s", "0"], 64, "--sample-rate is 0.0"), (["-s", "soon"], 64, "soon"),
      (["-l", "100001"], 2, "--list-size (or DEFENDER_MAX_LIST_SIZE) is '100001'"),
      (["-l", "x"], 64, "'x'"),
      (["--format", "xml"], 2, "--format (or DEFENDER_FORMAT) is 'xml'; allowed: json, cbor"),
      (["-cm", "nothing"], 2, "unknown metric 'nothing'"),
      (["--output", "/nowhere/file"], 2, "'/nowhere/file'"),
      (["--procfs", "/nowhere"], 1, "/nowhere/net/tcp: No such file"),
      (["--output", "/dev/full"], 74, "Can't write the output to '/dev/full': No space left"),
      (["--watch", "--compact"], 64, "--watch"), (["extra"], 64, "extra"),
    ] as [([String], Int32, String)])
  func `reports an error in its message and its exit status`(
    arguments: [String], status: Int32, words: String
  ) async throws {
    let run = try await defender().run(["collect"] + arguments)
    #expect(run.status == .code(status))
    #expect(run.errorText.contains(words), "\(run.errorText)")
    #expect(run.output == "")
  }

  @Test func `reads the root again for each sample, and a damaged one as far as possible`() async throws {
    let directory = try TemporaryDirectory()
    func link(to tree: String) throws {
      let (new, link) = ("\(directory.path)/new", "\(directory.path)/link")
      try #require(unsafe symlink(fixturePath("proc/\(tree)"), new) == 0 && rename(new, link) == 0)
    }
    try link(to: "wrap/t0")
    let terminal = try PseudoTerminal()
    try terminal.start(
      defender(), ["collect", "-s", "0.05", "--compact", "--procfs", "\(directory.path)/link"])
    try terminal.read(until: { $0.contains("\"header\"") })
    let expected = try JSONValue(parsing: fixture("proc/wrap/expected.json"))
    let bytes = try #require(expected["network_stats"]?["bytes_in"]?.integer(as: UInt64.self))
    try link(to: "wrap/t1")
    try terminal.read(until: { $0.contains("\"bytes_in\":\(bytes),") })
    try link(to: "garbage/t1")
    try terminal.read(until: { $0.contains("net/tcp: skipped line 3 (and 5 more)") })
    try terminal.type("\u{3}")
    #expect(try terminal.wait() == 0)
  }

  @Test func `watching prints plain lines if there is no terminal`() async throws {
    let run = try await defender().run(
      ["collect", "--watch", "-n", "2", "-s", "0.01", "--procfs", fixturePath("proc/basic/t1")])
    #expect(run.status == .code(0) && !run.output.contains("\u{1B}"))
    let lines = run.output.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines.allSatisfy { $0.contains("UDP ports") })
    #expect(lines.last?.hasSuffix("in 0 B/s, out 0 B/s") == true)
  }

  @Test(
    arguments: [
      (">&-", 74, "Can't write the output to standard output: Bad file descriptor"), ("2>&-", 0, ""),
      ("<&-", 0, ""),
    ] as [(String, Int32, String)])
  func `writes nothing into its own sockets if a standard descriptor is closed`(
    closing: String, status: Int32, words: String
  ) async throws {
    let script = "exec \"$0\" \"$@\" \(closing)"
    let run = try await BuiltProgram(path: "/bin/sh").run(
      ["-c", script, defender().path, "collect", "--compact", "-n", "2", "-s", "0.01"])
    #expect(run.status == .code(status))
    #expect(run.errorText.contains(words) && run.output.isEmpty == (status != 0), "\(run.errorText)")
  }

  @Test func `stops on request even if nobody reads the pipe that it writes`() async throws {
    let directory = try TemporaryDirectory()
    // The program waits for signals once SIGTERM (bit 14) is blocked.
    let script = """
      "$0" collect --compact -o "$1" & until grep -q '^SigBlk:.*[4-7c-f]...$' /proc/$!/status; do :; done
      kill $!; wait $!; echo $?
      "$0" collect --compact -o "$1" & cat "$1"; wait $!; echo $?
      """
    let run = try await BuiltProgram(path: "/bin/sh").run(
      ["-c", script, defender().path, directory.makePipe("pipe")])
    let lines = run.output.split(separator: "\n")
    #expect(lines.count == 3 && lines.first == "0" && lines.last == "0", "\(run.output)\(run.errorText)")
    #expect(lines.dropFirst().first?.hasPrefix("{") == true)
  }

  // MARK: on a terminal

  @Test func `rejects CBOR on a terminal with advice`() async throws {
    let terminal = try PseudoTerminal()
    try terminal.start(defender(), ["collect", "--format", "cbor"])
    #expect(try terminal.wait() == 2)
    #expect(terminal.output.contains("--output FILE"))
  }

  @Test func `shows a status line between reports on a terminal, and erases it`() async throws {
    let terminal = try PseudoTerminal()
    try terminal.start(
      defender(), ["collect", "-n", "2", "-s", "2.5", "--procfs", fixturePath("proc/basic/t1")])
    #expect(try terminal.wait() == 0)
    let wipe = "\r\u{1B}[K"
    let pieces = terminal.output.split(separator: wipe, omittingEmptySubsequences: true).map(String.init)
    let status = pieces.filter { $0.hasPrefix("sample 1 of 2, next in ") }
    #expect(status.count >= 1 && status.allSatisfy { !$0.contains("\n") && $0.contains(" UDP ports") })
    let documents = pieces.filter { !$0.hasPrefix("sample ") }.joined()
    #expect(try reports(in: documents).count == 2)
  }

  @Test(arguments: [("q", 0), ("Q", 0), ("\u{3}", 0)] as [(String, Int32)])
  func `watching stops at a key and restores the terminal`(key: String, status: Int32) async throws {
    let terminal = try PseudoTerminal(rows: 20, columns: 100)
    let modes = terminal.modes
    try #require(terminal.showsKeys)
    try terminal.start(
      defender(), ["collect", "--watch", "-s", "0.05", "--procfs", fixturePath("proc/basic/t1")])
    try terminal.read(until: { $0.contains("CONNECTIONS") && $0.contains("packets in") })
    #expect(!terminal.showsKeys)
    #expect(terminal.output.contains("\u{1B}[?1049h") && !terminal.output.contains("\u{1B}[?1049l"))
    // A key without a function.
    try terminal.type("x")
    let drawn = terminal.output.count
    try terminal.read(until: { $0.count > drawn })
    try terminal.type(key)
    #expect(try terminal.wait() == status)
    #expect(terminal.output.hasSuffix("\u{1B}[?25h\u{1B}[?1049l"))
    #expect(terminal.modes == modes)
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGQUIT])
  func `watching restores the terminal, whichever signal ends it`(signal: Int32) async throws {
    let terminal = try PseudoTerminal(rows: 20, columns: 100)
    let modes = terminal.modes
    try terminal.start(
      defender(), ["collect", "--watch", "-s", "600", "--procfs", fixturePath("proc/basic/t1")])
    try terminal.read(until: { $0.contains("CONNECTIONS") })
    try #require(!terminal.showsKeys)
    terminal.send(signal)
    #expect(try terminal.wait() == 0)
    #expect(terminal.output.hasSuffix("\u{1B}[?25h\u{1B}[?1049l"))
    #expect(terminal.modes == modes)
  }

  @Test func `watching restores the terminal while it is suspended, and redraws afterwards`()
    async throws
  {
    let (take, giveBack) = ("\u{1B}[?1049h\u{1B}[?25l", "\u{1B}[?25h\u{1B}[?1049l")
    let terminal = try PseudoTerminal(rows: 20, columns: 100)
    // A shell with job control that reads no keys.
    try terminal.start(BuiltProgram(path: "/bin/dash"), ["-i"], environment: ["PS1": "prompt> "])
    try terminal.read(until: { $0.hasSuffix("prompt> ") })
    let modes = terminal.modes
    try terminal.type(
      "\(defender().path) collect --watch -s 600 --procfs \(fixturePath("proc/basic/t1"))\n")
    for (index, key) in ["\u{1A}", "\u{1A}", "q"].enumerated() {
      try terminal.read(until: { output in
        let frames = output.split(separator: take, omittingEmptySubsequences: false)
        return frames.count == index + 2 && frames.last?.contains("CONNECTIONS") == true
      })
      #expect(!terminal.showsKeys)
      try terminal.type(key)
      try terminal.read(until: { output in
        let pieces = output.split(separator: giveBack, omittingEmptySubsequences: false)
        return pieces.count == index + 2 && pieces.last?.hasSuffix("prompt> ") == true
      })
      #expect(terminal.output.contains("Stopped"))
      #expect(terminal.modes == modes)
      if key != "q" { try terminal.type("fg\n") }
    }
    try terminal.type("exit\n")
    #expect(try terminal.wait() == 0)
  }

  @Test func `watching waits for the terminal in the background, and can be stopped there`() async throws {
    let terminal = try PseudoTerminal(rows: 20, columns: 100)
    let script = """
      set -m; "$0" collect --watch -s 600 & until grep -q ') T ' /proc/$!/stat; do :; done
      kill $!; kill -CONT $!; while [ -e /proc/$! ]; do :; done; wait $!; echo status=$?
      """
    try terminal.start(BuiltProgram(path: "/bin/bash"), ["--norc", "-c", script, defender().path])
    #expect(try terminal.wait() == 0)
    #expect(terminal.output.hasSuffix("status=0\r\n"), "\(terminal.output)")
    #expect(!terminal.output.contains("\u{1B}[?1049h") && !terminal.output.contains("defender:"))
  }

  @Test func `watching redraws when the size of the terminal changes`() async throws {
    let terminal = try PseudoTerminal(rows: 30, columns: 120)
    try terminal.start(
      defender(), ["collect", "--watch", "-s", "600", "--procfs", fixturePath("proc/large/t1")])
    func frame(_ output: String) -> [String] {
      guard output.hasSuffix("\u{1B}[J"), let last = output.split(separator: "\u{1B}[H").last else {
        return []
      }
      // The terminal itself converts each line feed to a carriage return and a line feed.
      let text = last.replacing(#/\u{1B}\[[0-9]*[mKJ]/#, with: "").replacing("\r", with: "")
      return text.split(separator: "\r\n", omittingEmptySubsequences: false).map { String($0) }
    }
    try terminal.read(until: { frame($0).count == 30 })
    // stty sets rows and columns one after the other.
    try terminal.resize(rows: 9, columns: 40)
    try terminal.read(until: { output in
      let lines = frame(output)
      return lines.count == 9 && lines.allSatisfy { $0.count <= 40 }
    })
    let lines = frame(terminal.output)
    #expect(lines.last?.hasPrefix("and ") == true)
    try terminal.type("q")
    #expect(try terminal.wait() == 0)
  }

  @Test func `a terminal without cursor movement gets plain lines`() async throws {
    let terminal = try PseudoTerminal()
    try terminal.start(
      defender(), ["collect", "--watch", "-n", "2", "-s", "0.01"], environment: ["TERM": "dumb"])
    #expect(try terminal.wait() == 0)
    #expect(!terminal.output.contains("\u{1B}"))
    #expect(terminal.output.split(separator: "\r\n").count == 2)
  }
}
