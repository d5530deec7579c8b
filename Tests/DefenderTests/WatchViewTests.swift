import DeviceDefender
import Platform
import Testing
import WireFormats

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

  @Test func `shows rates, connections and ports side by side`() throws {
    var view = WatchView(interval: 2, isUnicode: true)
    view.add(sample(second: false), at: WallTime(secondsSinceEpoch: 0))
    view.add(sample(custom: true), at: WallTime(secondsSinceEpoch: 2))
    let lines = view.lines(for: TerminalSize(rows: 20, columns: 80), notice: "a warning")
    #expect(lines[0] == "defender collect   1970-01-01T00:00:02.000Z   every 2 s   q quits")
    #expect(lines[1] == "in          2 kB/s       10 packets/s    █")
    #expect(lines[2] == "out         1.2 MB/s     1 packets/s     █")
    #expect(lines[3].hasPrefix("connections 3 ") && lines[3].hasSuffix("██"))
    #expect(lines[4] == "load_1m 1.3")
    #expect(
      lines[6].hasPrefix("CONNECTIONS 3 ") && lines[6].hasSuffix("TCP PORTS 2        UDP PORTS ?        "))
    #expect(lines[7].hasPrefix("eth0:40000        192.0.2.0:443 ") && lines[7].contains(" 22    ?"))
    #expect(lines[8].hasPrefix("eth0:40001        192.0.2.37:443 ") && lines[8].contains(" 443   0.0.0.0"))
    #expect(lines.count == 20 && lines[19] == "a warning")
  }

  @Test(arguments: [(1, 1), (2, 10), (5, 30), (7, 75), (8, 76), (24, 80), (60, 200), (200, 400)])
  func `fits into any terminal`(rows: Int, columns: Int) {
    var view = WatchView(interval: 0.5, isUnicode: false)
    for number in 0..<100 {
      view.add(sample(connections: 1_000 * number, custom: number % 2 == 0), at: .now)
      for notice in [nil, String(repeating: "x", count: 500)] {
        let lines = view.lines(for: TerminalSize(rows: rows, columns: columns), notice: notice)
        #expect(lines.count <= rows && lines.allSatisfy { $0.count <= columns })
      }
    }
  }

  @Test func `shows the number of connections that don't fit`() {
    var view = WatchView(interval: 1, isUnicode: false)
    view.add(sample(connections: 100_000), at: .now)
    for columns in [60, 100] {
      let lines = view.lines(for: TerminalSize(rows: 12, columns: columns), notice: nil)
      #expect(lines.count == 12)
      let shown = lines.count { $0.hasPrefix("eth0:") }
      #expect(lines[11].hasPrefix("and \(100_000 - shown) more"))
    }
  }

  @Test(
    arguments: [
      (0, "0 B/s"), (999.4, "999 B/s"), (999.6, "1 kB/s"), (1_250, "1.3 kB/s"), (123_456, "123 kB/s"),
      (5e9, "5 GB/s"), (1e18, "1000 PB/s"), (1.8e19, "18000 PB/s"),
    ] as [(Double, String)])
  func `formats rates for people`(bytes: Double, text: String) {
    #expect(byteRate(bytes) == text)
  }

  @Test func `draws a history from its largest value down`() {
    var history = History()
    #expect(history.sparkline(width: 10, isUnicode: true) == "")
    for value in [0.0, 1, 4, 8, 0] { history.append(value) }
    #expect(history.sparkline(width: 10, isUnicode: true) == "▁▂▅█▁")
    #expect(history.sparkline(width: 2, isUnicode: false) == "#_")
    #expect(history.sparkline(width: 0, isUnicode: false) == "")
  }
}
