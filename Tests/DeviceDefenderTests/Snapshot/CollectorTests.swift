import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

@Suite struct `A collector` {
  /// Makes lists comparable, because the order of their entries is undefined.
  private func sorted(_ entries: [JSONValue]?) -> [String] {
    (entries ?? []).map { $0.prettyPrinted() }.sorted()
  }

  private func report(
    _ tree: CapturedTree, _ moment: String, _ baseline: inout Baseline?, _ expected: JSONValue
  )
    throws -> JSONValue
  {
    let log = RecordedLog()
    var collector = Collector(
      procfs: tree.root(moment), log: log.log(), maximumListSize: .max,
      interfaceNames: CapturedTree.interfaceNames(expected))
    let snapshot = collector.snapshot()
    let limits = ReportLimits(maximumListSize: .max, maximumReportBytes: .max)
    let report = Report(id: 1, snapshot: snapshot, baseline: baseline, limits: limits)
    baseline = Baseline(snapshot)
    return try JSONValue(parsing: report.encoded(as: .json, names: .long))
  }

  @Test(arguments: CapturedTree.all)
  func `reports the expected values for a captured tree`(tree: CapturedTree) throws {
    let expected = try tree.expectation()
    var baseline: Baseline?
    for moment in ["t0", "t1"] {
      let metrics = try #require(try report(tree, moment, &baseline, expected)["metrics"])
      let want = try #require(expected[moment])
      let connections = metrics["tcp_connections"]?["established_connections"]
      #expect(connections?["total"] == want["established_total"])
      let wanted = want["established"]?.array?.map { Self.withoutLocalAddress($0) }
      #expect(sorted(connections?["connections"]?.array) == sorted(wanted))
      for (block, name) in [
        ("listening_tcp_ports", "listening_tcp"), ("listening_udp_ports", "listening_udp"),
      ] {
        #expect(metrics[block]?["total"] == want["\(name)_total"])
        let ports = want[name]?.array?.map { Self.withoutLocalAddress($0) }
        #expect(sorted(metrics[block]?["ports"]?.array) == sorted(ports))
      }
      if moment == "t0" {
        #expect(metrics["network_stats"] == nil)
      } else {
        #expect(metrics["network_stats"]?.prettyPrinted() == expected["network_stats"]?.prettyPrinted())
      }
    }
  }

  /// Returns the entry as a report has it. The case files leave 127.0.0.53 unresolved; a report has `lo`.
  private static func withoutLocalAddress(_ entry: JSONValue) -> JSONValue {
    var members = (entry.members ?? []).filter { $0.name != "local_addr" }
    if entry["local_addr"]?.string?.hasPrefix("127.") == true, entry["interface"] == nil,
      entry["local_interface"] == nil
    {
      let name = entry["port"] == nil ? "local_interface" : "interface"
      members.append(JSONValue.Member(name: name, value: .string("lo")))
    }
    return .object(members)
  }

  @Test(arguments: CapturedTree.all)
  func `computes the processor usage of a captured machine`(tree: CapturedTree) throws {
    let expected = try #require(try tree.expectation()["cpu_usage"]?.double)
    let percent = try tree.root("t1").processorTimes().busyPercent(since: tree.root("t0").processorTimes())
    // The expected file rounds halves differently.
    #expect(abs(percent - expected) <= 0.1001)
  }

  @Test func `logs one line for the skipped lines of each damaged file`() {
    let log = RecordedLog()
    var collector = Collector(procfs: ProcRoot(fixturePath("proc/garbage/t1")), log: log.log())
    _ = collector.snapshot()
    #expect(log.lines.count == 5)
    #expect(log.lines.contains { $0.contains("net/tcp: skipped line 3 (and 5 more): the state should be") })
  }

  @Test(arguments: ["net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/dev"])
  func `omits only the block whose file is garbage`(file: String) throws {
    let tree = try copy(of: "basic/t1")
    try tree.write(file, "no such\nthing\n")
    let log = RecordedLog()
    var collector = Collector(procfs: ProcRoot(tree.path), log: log.log())
    let snapshot = collector.snapshot()
    #expect(lostBlocks(snapshot) == blocks(of: file))
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("\(file): line 1: ") == true)
  }

  @Test(arguments: ["net/tcp", "net/udp", "net/dev"])
  func `omits the block of a missing file instead of reporting zero`(file: String) throws {
    let tree = try copy(of: "basic/t1")
    #expect(unsafe unlink("\(tree.path)/\(file)") == 0)
    let log = RecordedLog()
    var collector = Collector(procfs: ProcRoot(tree.path), log: log.log())
    let snapshot = collector.snapshot()
    #expect(lostBlocks(snapshot) == blocks(of: file))
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("No such file or directory") == true)
    let report = Report(id: 1, snapshot: snapshot, baseline: nil)
    let text = String(decoding: report.encoded(as: .json, names: .long), as: UTF8.self)
    for block in blocks(of: file) { #expect(!text.contains(block)) }
  }

  @Test func `doesn't wait for a pipe and doesn't read a directory`() throws {
    let tree = try copy(of: "basic/t1")
    #expect(unsafe unlink("\(tree.path)/net/tcp") == 0)
    #expect(unsafe mkfifo("\(tree.path)/net/tcp", 0o600) == 0)
    #expect(unsafe unlink("\(tree.path)/net/dev") == 0)
    #expect(unsafe mkdir("\(tree.path)/net/dev", 0o700) == 0)
    var collector = Collector(procfs: ProcRoot(tree.path), log: RecordedLog().log())
    let snapshot = collector.snapshot()
    #expect(lostBlocks(snapshot) == ["tcp_connections", "listening_tcp_ports", "network_stats"])
    #expect(throws: CollectionError.notAFile(path: "\(tree.path)/net/tcp")) {
      try snapshot.listeningTCPPorts.get()
    }
  }

  @Test func `continues after a line that is longer than the buffer`() throws {
    let tree = try copy(of: "basic/t1")
    let contents = try readFile("\(tree.path)/net/udp", limit: 65_536)
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: 200_000) + [UInt8(ascii: "\n")]
    try tree.write("net/udp", contents + long + contents)
    let log = RecordedLog()
    var collector = Collector(procfs: ProcRoot(tree.path), log: log.log())
    let snapshot = collector.snapshot()
    // The lines repeat inode numbers, so they are the same sockets.
    #expect(try snapshot.listeningUDPPorts.get().total == 4)
    #expect(log.lines.count == 1)
    #expect(log.lines.first?.contains("longer than 65,536 bytes") == true)
  }

  @Test(arguments: CapturedTree.all.filter { $0.name != "large" })
  func `survives seeded damage to every file`(tree: CapturedTree) throws {
    var random = SeededRandom(seed: 4)
    let root = tree.root("t1").path
    for file in ["net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/dev", "stat"] {
      guard let contents = try? readFile("\(root)/\(file)", limit: 1 << 20) else { continue }
      for _ in 0..<12 {
        let copy = try TemporaryDirectory()
        try copy.write(file, damaged(contents, using: &random))
        let damagedTree = ProcRoot(copy.path)
        var collector = Collector(
          procfs: damagedTree, log: Log(level: .fatal) { _, _ in }, interfaceNames: InterfaceNames())
        let report = Report(id: 1, snapshot: collector.snapshot(), baseline: Baseline(MetricsSnapshot()))
        _ = try JSONValue(parsing: report.encoded(as: .json, names: .short))
        _ = try? damagedTree.processorTimes()
      }
    }
  }

  @Test func `reads this machine`() throws {
    let log = RecordedLog()
    var collector = Collector(procfs: ProcRoot(), log: log.log())
    let snapshot = collector.snapshot()
    #expect(lostBlocks(snapshot) == [])
    #expect(try snapshot.networkCounters.get().interfaces.contains { $0.name == "lo" })
    #expect(log.lines == [])
  }

  private func lostBlocks(_ snapshot: MetricsSnapshot) -> Set<String> {
    var lost: Set<String> = []
    if case .failure = snapshot.establishedConnections { lost.insert("tcp_connections") }
    if case .failure = snapshot.listeningTCPPorts { lost.insert("listening_tcp_ports") }
    if case .failure = snapshot.listeningUDPPorts { lost.insert("listening_udp_ports") }
    if case .failure = snapshot.networkCounters { lost.insert("network_stats") }
    return lost
  }

  private func blocks(of file: String) -> Set<String> {
    switch file {
    case "net/dev": ["network_stats"]
    case "net/udp", "net/udp6": ["listening_udp_ports"]
    default: ["tcp_connections", "listening_tcp_ports"]
    }
  }

  private func copy(of tree: String) throws -> TemporaryDirectory {
    let copy = try TemporaryDirectory()
    for file in ["net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/dev", "stat"] {
      try copy.write(file, try readFile(fixturePath("proc/\(tree)/\(file)"), limit: 1 << 20))
    }
    return copy
  }
}
