import Testing

@testable import DeviceDefender

@Suite struct `A reader of interface counters` {
  @Test(
    arguments: [
      "", ":", "  : 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0",
      "eth0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0:", "eth0: 1 2 3",
      "eth0: 1 2 3 4 5 6 7 8 9", "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
      "eth0: x 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0: -1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
      "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16x",
      "eth0: 18446744073709551616 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
      "eth 0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "e\u{7f}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    ])
  func `rejects a line without a name, or with a missing or malformed counter`(text: String) {
    #expect(throws: LineError.self) { try InterfaceCounters(text: text) }
  }

  @Test(
    arguments: [
      ("eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0"),
      ("  lo:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "lo"),
      ("eth0:1:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0:1"),
      ("eth0:backup: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\t", "eth0:backup"),
      ("br-lan.100:\t1\t2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "br-lan.100"),
      ("     0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "0"),
    ])
  func `reads the name up to the last colon, and four of the counters`(text: String, name: String) throws {
    let counters = try InterfaceCounters(text: text)
    #expect(counters.name == name)
    #expect(counters.traffic == Traffic(bytesIn: 1, bytesOut: 9, packetsIn: 2, packetsOut: 10))
  }

  @Test func `marks the counters as partial only if a line is malformed`() {
    func counters(_ lines: String...) -> NetworkCounters {
      var parser = NetworkCountersParser()
      for (index, line) in lines.enumerated() {
        let bytes = Array(line.utf8)
        parser.parse(bytes.span, number: index + 1, flaw: nil)
      }
      return parser.counters
    }
    let good = "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
    #expect(!counters("Inter-|   Receive", " face |bytes", good, "").isPartial)
    #expect(counters(good, "eth1: 1 2 3").isPartial)
  }

  @Test func `accepts the largest counter`() throws {
    let text = "eth0: 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
    #expect(try InterfaceCounters(text: text).traffic.bytesIn == .max)
  }
}

extension InterfaceCounters {
  init(text: String) throws(LineError) {
    let bytes = Array(text.utf8)
    try self.init(line: bytes.span)
  }
}
