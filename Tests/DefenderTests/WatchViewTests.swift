import DeviceDefender
import Platform
import Testing
import WireFormats

@testable import Detection
@testable import defender

@Suite struct `The view of a watched machine` {
  private func sample(connections: Int = 3, second: Bool = true, custom: Bool = false) -> Sample {
    var snapshot = MetricsSnapshot()
    snapshot.establishedConnections = .success(
      Listing(
        total: connections,
        sample: (0..<min(connections, 100)).map { index in
          // Not in numerical order.
          EstablishedConnection(
            localInterface: "eth0", localPort: UInt16(40_000 + index),
            remoteAddress: IPEndpoint(
              address: IPAddress(v4: 0xC000_0200 + UInt32(index * 37 % 100)), port: 443)
          )
        }))
    snapshot.listeningTCPPorts = .success(
      Listing(
        total: 2,
        sample: [
          ListeningPort(interface: "0.0.0.0", port: 443), ListeningPort(interface: nil, port: 22),
        ]))
    let traffic = Traffic(bytesIn: 4_000, bytesOut: 2_400_000, packetsIn: 20, packetsOut: 2)
    snapshot.networkCounters = .success(
      NetworkCounters(interfaces: [InterfaceCounters(name: "eth0\u{1B}[2J", index: 2, traffic: traffic)]))
    if custom, let name = try? CustomMetricName(validating: "load_1m") {
      snapshot.customMetrics = [CustomMetric(name: name, value: .number(1.25))]
    }
    var baseline = Baseline()
    var empty = MetricsSnapshot()
    empty.networkCounters = .success(NetworkCounters())
    baseline = Baseline(empty)
    return Sample(
      report: Report(id: 1, snapshot: snapshot, baseline: second ? baseline : nil), seconds: second ? 2 : nil)
  }

  private func event(
    _ type: ViolationEvent.EventType, _ metric: Metric, _ value: MetricValue?, id: String = "1",
    time: UInt64 = 2
  ) -> ViolationEvent {
    let behavior = Behavior(
      name: "normal", metric: metric,
      criteria: Criteria(
        comparisonOperator: .inPortSet, threshold: .value(.ports([])), durationSeconds: nil,
        consecutiveDatapointsToAlarm: nil, consecutiveDatapointsToClear: nil))
    return ViolationEvent(
      id: id, thing: "t", profile: "pumps", behavior: .current(behavior), metricValue: value, type: type,
      time: time)
  }

  private func texts(_ view: WatchView, _ rows: Int, _ columns: Int, notice: String? = nil) -> [String] {
    view.lines(for: TerminalSize(rows: rows, columns: columns), notice: notice).map(\.text)
  }

  @Test func `shows metrics with units, graphs and their scales, and lists with heads`() throws {
    var view = WatchView(interval: 2, isUnicode: true, units: ["load_1m": "%"])
    view.add(sample(second: false), at: WallTime(secondsSinceEpoch: 0))
    view.add(sample(custom: true), at: WallTime(secondsSinceEpoch: 2))
    let lines = texts(view, 24, 80, notice: "a warning")
    #expect(lines[0] == "defender collect   q quits   every 2 s   1970-01-01 00:00:02 UTC")
    #expect(lines[1] == "METRIC                  NOW  -66 s" + "now".leftPadded(28) + "  SCALE")
    #expect(lines[2] == "bytes in             2 kB/s  " + "█".leftPadded(33) + "  0 to 2 kB/s")
    #expect(lines[3] == "bytes out          1.2 MB/s  " + "█".leftPadded(33) + "  0 to 1.2 MB/s")
    #expect(lines[4] == "packets in             10/s  " + "█".leftPadded(33) + "  0 to 10/s")
    #expect(lines[6] == "connections               3  " + "██".leftPadded(33) + "  0 to 3")
    #expect(lines[8] == "UDP ports                 ?  " + "".leftPadded(33) + "  0")
    #expect(lines[9] == "load_1m               1.3 %  " + "▁".leftPadded(33) + "  0 to 100 %")
    #expect(lines[11].hasPrefix("CONNECTIONS 3 ") && lines[11].hasSuffix("TCP PORTS 2        UDP PORTS ?"))
    #expect(lines[12].hasPrefix("LOCAL           REMOTE") && lines[12].contains(" PORT  INTERFACE"))
    #expect(lines[13].hasPrefix("eth0:40000      192.0.2.0:443 ") && lines[13].contains(" 22    ?"))
    #expect(lines[14].hasPrefix("eth0:40001      192.0.2.37:443 ") && lines[14].contains(" 443   0.0.0.0"))
    #expect(lines.count == 24 && lines[23] == "a warning")
  }

  @Test func `marks an alarm at its metric and at its entries, until it is cleared`() throws {
    var view = WatchView(interval: 2, isUnicode: true)
    var raised = sample()
    raised.activeAlarms = 3
    raised.events = [
      event(.inAlarm, .device(.listeningTCPPorts), .ports([443])),
      event(
        .inAlarm, .device(.destinations), .cidrs([IPAddress(v4: 0xC000_0225)]), id: "2", time: 86_400),
      event(.inAlarm, .custom("queue"), .number(3), id: "3"),
    ]
    view.add(raised, at: WallTime(secondsSinceEpoch: 86_401))
    let marked = texts(view, 24, 80)
    #expect(marked[0].contains("   3 alarms   "))
    for (row, mark) in [
      ("connections ", "! pumps/normal since 00:00:00: 192.0.2.37"),
      ("TCP ports ", "! pumps/normal since 1970-01-01 00:00:02: 443"),
      ("queue ", "! pumps/normal since 1970-01-01 00:00:02: 3.0"),
    ] {
      let index = try #require(marked.firstIndex { $0.hasPrefix(row) }, "\(marked)")
      #expect(marked[index + 1] == mark)
    }
    // The entries that violate a behavior come first.
    let first = try #require(marked.first { $0.contains("192.0.2.37:443") })
    #expect(first.hasPrefix("! eth0:40001 ") && first.contains("! 443   0.0.0.0"), "\(first)")
    #expect(marked.contains { $0.hasPrefix("  eth0:40000 ") && $0.contains("  22    ?") }, "\(marked)")
    let styled = view.lines(for: TerminalSize(rows: 24, columns: 80), notice: nil)
      .map { $0.rendered(isStyled: true) }
    #expect(styled.contains("\u{1B}[1m! pumps/normal since 00:00:00: 192.0.2.37\u{1B}[0m"))

    var cleared = sample()
    cleared.activeAlarms = 0
    cleared.events = [
      event(.alarmCleared, .device(.listeningTCPPorts), .ports([])),
      event(.alarmInvalidated, .device(.destinations), nil, id: "2"),
      event(.alarmCleared, .custom("queue"), .number(0), id: "3"),
    ]
    view.add(cleared, at: WallTime(secondsSinceEpoch: 86_403))
    let clean = texts(view, 24, 80)
    #expect(clean[0].contains("   no alarms   "))
    #expect(!clean.contains { $0.contains("!") }, "\(clean)")
  }

  @Test func `shows alarms even if there is no room for all metrics`() {
    var view = WatchView(interval: 2, isUnicode: true)
    var raised = sample()
    raised.events = [event(.inAlarm, .device(.listeningUDPPorts), .ports([53]))]
    raised.activeAlarms = 1
    view.add(raised, at: WallTime(secondsSinceEpoch: 3))
    let lines = texts(view, 8, 80)
    #expect(lines.contains { $0.hasPrefix("UDP ports ") })
    #expect(lines.contains("! pumps/normal since 00:00:02: 53"))
  }

  @Test(arguments: [(1, 1), (2, 10), (5, 30), (7, 75), (8, 76), (24, 80), (60, 200), (200, 700)])
  func `fits into any terminal`(rows: Int, columns: Int) {
    var view = WatchView(interval: 0.5, isUnicode: false)
    for number in 0..<100 {
      var sample = sample(connections: 1_000 * number, custom: number % 2 == 0)
      sample.activeAlarms = number % 3
      sample.events = [event(.inAlarm, .device(.bytesIn), .count(.max), id: "\(number)")]
      view.add(sample, at: .now)
      for notice in [nil, String(repeating: "x", count: 500)] {
        let lines = texts(view, rows, columns, notice: notice)
        #expect(lines.count <= rows && lines.allSatisfy { $0.count <= columns })
        #expect(lines.allSatisfy { !$0.contains("\u{1B}") })
      }
    }
  }

  @Test(arguments: [(40, 0), (60, 13), (80, 33), (200, 153)])
  func `draws longer graphs on a wider terminal`(columns: Int, width: Int) throws {
    var view = WatchView(interval: 1, isUnicode: true)
    for _ in 0..<300 { view.add(sample(), at: .now) }
    let row = try #require(texts(view, 24, columns).first { $0.hasPrefix("connections ") })
    #expect(row.count { $0 == "█" } == (columns < 60 ? 11 : width))
    #expect(row.hasSuffix("  0 to 3") == (columns >= 60))
  }

  @Test func `shows the number of connections that don't fit, and uses several columns if they do`() {
    var view = WatchView(interval: 1, isUnicode: false)
    view.add(sample(connections: 100_000), at: .now)
    for columns in [60, 100] {
      let lines = texts(view, 20, columns)
      #expect(lines.count == 20)
      let shown = lines.count { $0.hasPrefix("eth0:") }
      #expect(shown > 2 && lines[19].hasPrefix("and \(100_000 - shown) more"), "\(lines)")
    }
    // A report lists 50 connections by default.
    view.add(sample(connections: 50), at: .now)
    let wide = texts(view, 30, 200).joined(separator: "\n")
    #expect((0..<50).allSatisfy { wide.contains("eth0:\(40_000 + $0) ") })
    #expect(!wide.contains(" more"))
  }

  @Test(
    arguments: [
      (0, "0 B/s"), (999.4, "999 B/s"), (999.6, "1 kB/s"), (1_250, "1.3 kB/s"), (123_456, "123 kB/s"),
      (5e9, "5 GB/s"), (1e18, "1000 PB/s"), (1.8e19, "18000 PB/s"),
    ] as [(Double, String)])
  func `formats rates for people`(bytes: Double, text: String) {
    #expect(byteRate(bytes) == text)
  }

  @Test(
    arguments: [
      (0, "0"), (-1.25, "-1.3"), (123_456_789, "123456789"), (1_234_567_890, "1.2e9"), (-5e300, "-5e+300"),
      (-123_456_789_012, "-1.2e11"),
      (1e-300, "0"),
    ] as [(Double, String)])
  func `shortens long numbers`(value: Double, text: String) {
    #expect(fittedNumber(value) == text)
  }

  private func graph(_ values: [Double?], width: Int, isUnicode: Bool = true) -> String {
    var history = History()
    for value in values { history.append(value) }
    return history.graph(width: width, scale: history.scale(width: width), isUnicode: isUnicode)
  }

  @Test func `draws the values that fit, the latest on the right, from 0 to the largest`() {
    #expect(graph([], width: 3) == "   ")
    #expect(graph([0, 1, 4, 8, nil, 0], width: 8) == "  ▁▂▅█ ▁")
    #expect(graph([0, 1, 4, 8, 0], width: 2, isUnicode: false) == "#_")
    #expect(graph([8, 1, 1], width: 2) == "██")
    #expect(graph([-4, 0, 4], width: 3) == "▁▅█")
    #expect(graph([0, 0], width: 2) == "▁▁")
    #expect(graph([-1.7e308, 1.7e308], width: 2) == "▁▁")
    #expect(graph([1], width: 0) == "")
    var history = History()
    for value in 1...700 { history.append(Double(value)) }
    #expect(history.scale(width: 1_000) == 0...700)
    #expect(history.graph(width: 1_000, scale: 0...700, isUnicode: false).count { $0 != " " } == 600)
  }
}

@Suite struct `A styled line` {
  @Test func `is cut and padded by its visible characters, with control characters escaped`() {
    var line = StyledLine("ab\u{1B}", .bold)
    #expect(line.text == #"ab\u{1B}"#)
    line = StyledLine("abc", .bold)
    line.append("def", .dim)
    #expect(line.cut(to: 6) == line)
    #expect(line.cut(to: 5, mark: "…").text == "abcd…")
    #expect(line.cut(to: 4).rendered(isStyled: true) == "\u{1B}[1mabc\u{1B}[0m\u{1B}[2md\u{1B}[0m")
    #expect(line.cut(to: 2, mark: "...").text == "..")
    #expect(line.cut(to: 0, mark: "…").text == "")
    line.pad(to: 8)
    #expect(line.text == "abcdef  " && line.rendered(isStyled: false) == line.text)
    line.pad(to: 3)
    #expect(line.count == 8)
  }
}
