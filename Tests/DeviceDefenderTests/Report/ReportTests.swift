import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

@Suite struct `A report` {
  static let connection = EstablishedConnection(
    localInterface: "eth0", localPort: 8_883,
    remoteAddress: IPEndpoint(address: IPAddress(v4: 0xCB00_7101), port: 443))

  private func snapshot(connections: Int = 1, ports: Int = 1, total: Int? = nil) -> MetricsSnapshot {
    var snapshot = MetricsSnapshot()
    snapshot.establishedConnections = .success(
      Listing(
        total: total ?? connections,
        sample: (0..<connections).map { number in
          var connection = Self.connection
          connection.localPort = UInt16(truncatingIfNeeded: number + 1)
          return connection
        }))
    snapshot.listeningTCPPorts = .success(
      Listing(
        total: total ?? ports,
        sample: (0..<ports).map { ListeningPort(interface: "::", port: UInt16(truncatingIfNeeded: $0 + 1)) }))
    snapshot.listeningUDPPorts = .success(Listing(total: 0, sample: []))
    snapshot.networkCounters = .success(
      NetworkCounters(interfaces: [
        InterfaceCounters(
          name: "eth0", index: nil, traffic: Traffic(bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4))
      ]))
    return snapshot
  }

  private var emptyBaseline: Baseline {
    var snapshot = MetricsSnapshot()
    snapshot.networkCounters = .success(NetworkCounters())
    return Baseline(snapshot)
  }

  @Test func `is written as AWS describes it`() {
    let report = Report(id: 1_530_304_554, snapshot: snapshot(), baseline: emptyBaseline)
    #expect(
      String(decoding: report.encoded(as: .json, names: .long), as: UTF8.self) == """
        {"header":{"report_id":1530304554,"version":"1.0"},"metrics":{\
        "listening_tcp_ports":{"ports":[{"interface":"::","port":1}],"total":1},\
        "listening_udp_ports":{"ports":[],"total":0},\
        "network_stats":{"bytes_in":1,"bytes_out":2,"packets_in":3,"packets_out":4},\
        "tcp_connections":{"established_connections":{"connections":[\
        {"local_interface":"eth0","local_port":1,"remote_addr":"203.0.113.1:443"}],"total":1}}}}
        """)
    #expect(
      String(decoding: report.encoded(as: .json, names: .short), as: UTF8.self) == """
        {"hed":{"rid":1530304554,"v":"1.0"},"met":{"tp":{"pts":[{"if":"::","pt":1}],"t":1},\
        "up":{"pts":[],"t":0},"ns":{"bi":1,"bo":2,"pi":3,"po":4},"tc":{"ec":{"cs":[\
        {"li":"eth0","lp":1,"rad":"203.0.113.1:443"}],"t":1}}}}
        """)
  }

  @Test func `has the same content in CBOR`() {
    let report = Report(id: 1_530_304_554, snapshot: snapshot(), baseline: emptyBaseline)
    #expect(
      hex(report.encoded(as: .cbor, names: .short))
        == "a263686564a2637269641a5b36982a617663312e30636d6574a4"
        + "627470a26370747381a2626966623a3a62707401617401627570a26370747380617400"
        + "626e73a46262690162626f026270690362706f04"
        + "627463a1626563a262637381a3626c696465746830626c7001637261646f"
        + "3230332e302e3131332e313a343433617401")
  }

  @Test func `omits network_stats without a baseline, and unreadable blocks`() {
    #expect(Report(id: 1, snapshot: snapshot(), baseline: nil).networkStatistics == nil)
    #expect(Report(id: 1, snapshot: MetricsSnapshot(), baseline: emptyBaseline).isEmpty)
    // An empty baseline counts as none.
    #expect(Report(id: 1, snapshot: snapshot(), baseline: Baseline()).networkStatistics == nil)
  }

  @Test func `has no metrics block if there are custom metrics only, and isn't empty`() throws {
    var snapshot = MetricsSnapshot()
    snapshot.customMetrics = [CustomMetric(name: try CustomMetricName(validating: "m"), value: .number(1))]
    let report = Report(id: 1, snapshot: snapshot, baseline: nil)
    #expect(!report.isEmpty)
    #expect(
      String(decoding: report.encoded(as: .json, names: .long), as: UTF8.self)
        == #"{"header":{"report_id":1,"version":"1.0"},"custom_metrics":{"m":[{"number":1}]}}"#)
  }

  @Test(arguments: [(0, 0), (1, 1), (49, 49), (50, 50), (51, 50), (500, 50)])
  func `lists entries up to the limit and counts all`(count: Int, listed: Int) throws {
    let report = Report(
      id: 1, snapshot: snapshot(connections: count), baseline: nil, limits: ReportLimits(maximumListSize: 50))
    #expect(report.establishedConnections?.total == count)
    let ports = try #require(report.establishedConnections?.sample.map(\.localPort))
    #expect(ports.count == listed)
    #expect(ports == ports.sorted())
  }

  @Test(arguments: ReportFormat.allCases, ReportNames.allCases)
  func `shortens its lists in proportion until it fits`(format: ReportFormat, names: ReportNames) throws {
    let snapshot = snapshot(connections: 2_000, ports: 1_000, total: 5_000)
    for limit in [0, 400, 1_000, 7_000, 60_000] {
      let limits = ReportLimits(maximumListSize: .max, maximumReportBytes: limit)
      let generator = SeededGenerator(seed: 9)
      let bytes = Report(
        id: 1, snapshot: snapshot, baseline: emptyBaseline, limits: limits, generator: generator
      )
      .encoded(as: format, names: names)
      // The size of an empty report.
      let least = 330
      #expect(bytes.count <= max(limit, least))
      if limit > 400 { #expect(bytes.count > limit - 200, "cut more than needed") }
      guard format == .json else { continue }
      let metrics = try #require(try JSONValue(parsing: bytes)[names.keys.metrics.string])
      let connections = metrics[names.keys.tcpConnections.string]?[names.keys.establishedConnections.string]
      let ports = metrics[names.keys.listeningTCPPorts.string]
      #expect(connections?[names.keys.total.string]?.integer() == 5_000)
      #expect(ports?[names.keys.total.string]?.integer() == 5_000)
      let listed = try #require(connections?[names.keys.connections.string]?.array?.count)
      let listedPorts = try #require(ports?[names.keys.ports.string]?.array?.count)
      #expect(abs(listed - 2 * listedPorts) <= 2)
    }
  }

  @Test func `keeps as many entries as fit into its limit, to the byte`() throws {
    // 64 ports of five digits each, so that every entry has the same size and any number of them can be kept.
    var snapshot = MetricsSnapshot()
    let ports = (0..<64).map { ListeningPort(interface: "::", port: 10_000 + $0) }
    snapshot.listeningTCPPorts = .success(Listing(total: 64, sample: ports))
    func size(_ count: Int?, limit: Int) throws -> (bytes: Int, entries: Int) {
      var snapshot = snapshot
      if let count {
        snapshot.listeningTCPPorts = .success(Listing(total: 64, sample: Array(ports.prefix(count))))
      }
      let limits = ReportLimits(maximumListSize: .max, maximumReportBytes: limit)
      let bytes = Report(id: 1, snapshot: snapshot, baseline: nil, limits: limits)
        .encoded(as: .json, names: .long)
      let metrics = try JSONValue(parsing: bytes)["metrics"]
      return (bytes.count, metrics?["listening_tcp_ports"]?["ports"]?.array?.count ?? -1)
    }
    for count in 0...64 {
      let exact = try size(count, limit: .max).bytes
      #expect(try size(nil, limit: exact) == (exact, count))
      // With one byte less there is room for one entry less. Without entries, nothing can be removed.
      if count > 0 { #expect(try size(nil, limit: exact - 1).entries == count - 1) }
    }
  }

  @Test func `omits custom metrics, last first, if shortening its lists isn't enough`() throws {
    var empty = snapshot(connections: 0, ports: 0, total: 3)
    let metrics = try (0..<4).map {
      CustomMetric(name: try CustomMetricName(validating: "m\($0)"), value: .number(1))
    }
    func encoded(_ snapshot: MetricsSnapshot, limit: Int) throws -> [UInt8] {
      let limits = ReportLimits(maximumListSize: .max, maximumReportBytes: limit)
      return Report(id: 1, snapshot: snapshot, baseline: nil, limits: limits).encoded(as: .json, names: .long)
    }
    var whole = snapshot(connections: 3, ports: 3)
    whole.customMetrics = metrics
    // Without any room, everything optional is left out.
    #expect(try encoded(whole, limit: 1) == encoded(empty, limit: .max))
    for kept in 1...4 {
      let former = empty
      empty.customMetrics = Array(metrics.prefix(kept))
      let exact = try encoded(empty, limit: .max)
      #expect(try encoded(whole, limit: exact.count) == exact)
      #expect(try encoded(whole, limit: exact.count - 1) == encoded(former, limit: .max))
    }
  }

  @Test func `gives each entry the same chance to stay when it is shortened`() throws {
    let snapshot = snapshot(connections: 20, ports: 0)
    var kept = [Int](repeating: 0, count: 20)
    for seed in 0..<2_000 {
      let report = Report(
        id: 1, snapshot: snapshot, baseline: nil, limits: ReportLimits(maximumListSize: 5),
        generator: SeededGenerator(seed: UInt64(seed)))
      for connection in report.establishedConnections?.sample ?? [] {
        kept[Int(connection.localPort) - 1] += 1
      }
    }
    // Expected: 500 of each, with a standard deviation of 19.
    #expect(kept.allSatisfy { abs($0 - 500) < 120 })
  }
}
