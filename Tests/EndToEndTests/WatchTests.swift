import Glibc
import Platform
import TestSupport
import Testing

/// Tests of the built `defender collect --watch` on a terminal.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `defender collect --watch` {
  /// Sizes of terminals: the usual one and a large one.
  private static let sizes: [(UInt16, UInt16)] = [(24, 80), (60, 200)]

  private static let profile = #"""
    {"securityProfileName": "pumps", "behaviors": [{"name": "only-ssh", "metric": "aws:listening-tcp-ports",
      "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22]}}}]}
    """#

  /// Returns the lines of the last complete screen without emphasis; none if no screen is complete.
  private func screen(_ output: String) -> [String] {
    guard output.hasSuffix("\u{1B}[J"), let last = output.split(separator: "\u{1B}[H").last else { return [] }
    let text = last.replacing(#/\u{1B}\[[0-9]*[mKJ]/#, with: "").replacing("\r", with: "")
    return text.split(separator: "\r\n", omittingEmptySubsequences: false)
      .flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.map(String.init)
  }

  /// A procfs with one listening TCP port, which can be changed.
  private struct Machine {
    let directory: TemporaryDirectory

    init() throws {
      directory = try TemporaryDirectory()
      for name in ["tcp6", "udp", "udp6"] { _ = try directory.write("net/\(name)", Self.head) }
      _ = try directory.write("net/dev", "Inter-|   Receive\n face |bytes    packets\n")
    }

    private static let head = "  sl  local_address rem_address   st tx_queue rx_queue\n"

    func listen(on port: String) throws {
      let line = "   0: 00000000:\(port) 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0\n"
      let new = try directory.write("net/new", Self.head + line)
      try #require(unsafe rename(new, "\(directory.path)/net/tcp") == 0)
    }
  }

  @Test(arguments: sizes)
  func `fills the terminal with heads, graphs with scales, and as many entries as fit`(
    rows: UInt16, columns: UInt16
  ) throws {
    let terminal = try PseudoTerminal(rows: rows, columns: columns)
    try terminal.start(
      BuiltProgram("defender"),
      ["collect", "--watch", "-s", "0.05", "--procfs", fixturePath("proc/large/t1")])
    // From the second sample on, there are rates.
    try terminal.read(until: { screen($0).contains { $0.contains("  0 B/s  ") } })
    let lines = screen(terminal.output)
    #expect(lines.count == Int(rows) && lines.allSatisfy { $0.count <= Int(columns) })
    #expect(lines[0].hasPrefix("defender collect   q quits   every 0.1 s   20"))
    #expect(lines[1].hasPrefix("METRIC                  NOW  -") && lines[1].hasSuffix("now  SCALE"))
    #expect(lines[1].count == Int(columns) - 11)
    let connections = try #require(lines.first { $0.hasPrefix("connections ") })
    #expect(connections.hasSuffix("█  0 to 2375"), "\(connections)")
    let heads = try #require(lines.firstIndex { $0.hasPrefix("LOCAL           REMOTE") })
    let columnsOfPorts = columns == 80 ? 2 : 4
    #expect(
      lines[heads].split(separator: "PORT  INTERFACE", omittingEmptySubsequences: false).count
        == columnsOfPorts + 1)
    #expect(lines.last?.contains(" more") == true)
    // Bold and dim are the only emphasis.
    let parameters = terminal.output.matches(of: #/\u{1B}\[([0-9]*)m/#).map { String($0.1) }
    #expect(Set(parameters) == ["0", "1", "2"])
    try terminal.type("q")
    #expect(try terminal.wait() == 0)
  }

  @Test(arguments: sizes)
  func `marks a violation at its metric until it is cleared`(rows: UInt16, columns: UInt16) throws {
    let machine = try Machine()
    let profile = try machine.directory.write("profile.json", Self.profile)
    try machine.listen(on: "1F90")
    let terminal = try PseudoTerminal(rows: rows, columns: columns)
    try terminal.start(
      BuiltProgram("defender"),
      ["collect", "--watch", "-s", "0.05", "--procfs", machine.directory.path, "--profile", profile])
    try terminal.read(until: { screen($0).contains { $0.hasPrefix("! ") } })
    let marked = screen(terminal.output)
    let row = try #require(marked.firstIndex { $0.hasPrefix("TCP ports ") })
    let mark = #/! pumps/only-ssh since [0-9]{2}:[0-9]{2}:[0-9]{2}: 8080/#
    #expect(try mark.wholeMatch(in: marked[row + 1]) != nil, "\(marked[row + 1])")
    #expect(marked[0].contains("   1 alarm   ") && marked.contains { $0.contains(" ! 8080  0.0.0.0") })
    // Violations are in the table only.
    #expect(!terminal.output.contains("in-alarm"))
    try machine.listen(on: "0016")
    try terminal.read(until: { screen($0).first?.contains("   no alarms   ") == true })
    #expect(!screen(terminal.output).contains { $0.contains("!") })
    try terminal.type("q")
    #expect(try terminal.wait() == 0)
  }

  @Test func `shows a message of the log as a sentence with its time`() throws {
    let terminal = try PseudoTerminal()
    try terminal.start(
      BuiltProgram("defender"),
      ["collect", "--watch", "-s", "0.05", "--procfs", fixturePath("proc/garbage/t1")])
    try terminal.read(until: { screen($0).last?.contains("warning: ") == true })
    #expect(
      try #/[0-9]{2}:[0-9]{2}:[0-9]{2} warning: .*/#.wholeMatch(in: screen(terminal.output).last ?? "") != nil
    )
    #expect(!terminal.output.contains("[WARN]"))
    try terminal.type("q")
    #expect(try terminal.wait() == 0)
  }

  @Test func `has no emphasis if NO_COLOR is set`() throws {
    let terminal = try PseudoTerminal()
    try terminal.start(
      BuiltProgram("defender"),
      ["collect", "--watch", "-s", "0.05", "--procfs", fixturePath("proc/basic/t1")],
      environment: ["NO_COLOR": "1"])
    try terminal.read(until: { !screen($0).isEmpty })
    #expect(terminal.output.matches(of: #/\u{1B}\[[0-9]*m/#).isEmpty)
    try terminal.type("q")
    #expect(try terminal.wait() == 0)
  }

  @Test func `writes no escape sequence to a dumb terminal, and logs violations there`() throws {
    let machine = try Machine()
    let profile = try machine.directory.write("profile.json", Self.profile)
    try machine.listen(on: "1F90")
    let terminal = try PseudoTerminal()
    try terminal.start(
      BuiltProgram("defender"),
      [
        "collect", "--watch", "-n", "2", "-s", "0.01", "--procfs", machine.directory.path, "--profile",
        profile,
      ],
      environment: ["TERM": "dumb"])
    #expect(try terminal.wait() == 0)
    #expect(!terminal.output.contains("\u{1B}"))
    #expect(terminal.output.contains("in-alarm: only-ssh of pumps, aws:listening-tcp-ports: 8080"))
    #expect(terminal.output.split(separator: "\r\n").count { $0.contains(" UDP ports, ") } == 2)
  }
}
