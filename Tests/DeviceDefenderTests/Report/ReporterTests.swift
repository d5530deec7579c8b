import Glibc
import Platform
import TestSupport
import Testing

@testable import DeviceDefender

@Suite struct `A reporter` {
  private let tree: TemporaryDirectory
  private let now = WallTime(secondsSinceEpoch: 1_800_000_000)

  init() throws {
    tree = try TemporaryDirectory()
    try receive(1_000)
  }

  /// Sets the number of bytes that eth0 has received.
  private func receive(_ bytes: UInt64, interface: String = "eth0") throws {
    try tree.write("net/dev", "Inter-|\n face |\n\(interface): \(bytes) 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
  }

  private func collector(command: MetricsCommand? = nil) -> Collector {
    Collector(
      procfs: ProcRoot(tree.path), log: RecordedLog().log(), command: command,
      interfaceNames: InterfaceNames())
  }

  private func baseline(_ bytes: UInt64, interface: String = "eth0", isPartial: Bool = false) -> Baseline {
    var snapshot = MetricsSnapshot()
    snapshot.networkCounters = .success(
      NetworkCounters(
        interfaces: [
          InterfaceCounters(name: interface, index: nil, traffic: Traffic(bytesIn: bytes))
        ], isPartial: isPartial))
    return Baseline(snapshot)
  }

  private func bytesIn(_ baseline: Baseline?) -> [String: UInt64]? {
    baseline?.networkCounters.map { counters in
      Dictionary(uniqueKeysWithValues: counters.interfaces.map { ($0.name, $0.traffic.bytesIn) })
    }
  }

  /// Makes a report after eth0 has received `bytes`.
  private func draft(
    _ reporter: inout Reporter, _ bytes: UInt64, since other: Baseline? = nil
  ) throws -> Reporter.Draft {
    try receive(bytes)
    let snapshot = reporter.snapshot()
    return reporter.draft(of: snapshot, at: now, since: other)
  }

  @Test func `computes deltas against the last acknowledged report, which repeats the traffic of lost ones`()
    throws
  {
    var reporter = Reporter(collector: collector())
    let first = try draft(&reporter, 1_000)
    #expect(first.report.networkStatistics == nil)
    reporter.acknowledge(first.nextBaseline)
    let lost = try draft(&reporter, 1_100)
    #expect(lost.report.networkStatistics?.bytesIn == 100)
    let second = try draft(&reporter, 1_150)
    #expect(second.report.networkStatistics?.bytesIn == 150)
    reporter.acknowledge(second.nextBaseline)
    #expect(try draft(&reporter, 1_151).report.networkStatistics?.bytesIn == 1)
  }

  @Test func `computes an unacknowledged series against its own baseline`() throws {
    var reporter = Reporter(collector: collector())
    reporter.acknowledge(try draft(&reporter, 1_000).nextBaseline)
    var dry: Baseline?
    for (bytes, delta) in [(1_010, 10), (1_030, 20), (1_060, 30)] as [(UInt64, UInt64)] {
      let shown = try draft(&reporter, bytes, since: dry)
      #expect(shown.report.networkStatistics?.bytesIn == delta)
      dry = shown.nextBaseline
    }
    #expect(try draft(&reporter, 1_100).report.networkStatistics?.bytesIn == 100)
  }

  @Test func `computes deltas against the last readable counters, also in an unacknowledged series`() throws {
    var reporter = Reporter(collector: collector())
    reporter.acknowledge(try draft(&reporter, 1_000).nextBaseline)
    try tree.write("net/dev", "garbage\n")
    let snapshot = reporter.snapshot()
    let unreadable = reporter.draft(of: snapshot, at: now)
    #expect(unreadable.report.networkStatistics == nil)
    let dry = try draft(&reporter, 1_300, since: unreadable.nextBaseline)
    #expect(dry.report.networkStatistics?.bytesIn == 300)
    reporter.acknowledge(unreadable.nextBaseline)
    #expect(try draft(&reporter, 1_400).report.networkStatistics?.bytesIn == 400)
  }

  @Test func `never reuses a report id, acknowledged or not`() throws {
    var reporter = Reporter(collector: collector())
    var last = reporter.lastReportID
    #expect(last == 0)
    var ids: [UInt64] = []
    for index in 0..<3 {
      let made = try draft(&reporter, 1_000, since: index == 1 ? Baseline() : nil)
      ids.append(made.report.id)
      if index == 0 { reporter.acknowledge(made.nextBaseline) }
    }
    #expect(ids == [1_800_000_000, 1_800_000_001, 1_800_000_002])
    last = reporter.lastReportID
    #expect(last == 1_800_000_002)
    _ = reporter.adopt(nil, lastReportID: 1_900_000_000)
    #expect(try draft(&reporter, 1_000).report.id == 1_900_000_001)
    // A lower saved id has no effect.
    _ = reporter.adopt(nil, lastReportID: 7)
    last = reporter.lastReportID
    #expect(last == 1_900_000_001)
  }

  @Test func `uses only the first snapshot as the initial baseline`() throws {
    var reporter = Reporter(collector: collector())
    for bytes in [1_000, 2_000] as [UInt64] {
      try receive(bytes)
      let snapshot = reporter.snapshot()
      reporter.begin(with: snapshot)
      let baseline = reporter.baseline
      #expect(bytesIn(baseline) == ["eth0": 1_000])
    }
    let last = reporter.lastReportID
    #expect(last == 0)
    #expect(try draft(&reporter, 2_500).report.networkStatistics?.bytesIn == 1_500)
  }

  /// Adopts a saved baseline. Returns whether it took precedence, and the received bytes of eth0 and eth1 in
  /// the resulting baseline.
  private func adopt(_ saved: Baseline?, _ reporter: inout Reporter) -> (isAdopted: Bool, [String: UInt64]?) {
    let isAdopted = reporter.adopt(saved, lastReportID: 1)
    let baseline = reporter.baseline
    return (isAdopted, bytesIn(baseline))
  }

  @Test func `adopts a saved baseline if it has none`() {
    var reporter = Reporter(collector: collector())
    #expect(adopt(nil, &reporter) == (false, nil))
    #expect(adopt(baseline(400), &reporter) == (true, ["eth0": 400]))
  }

  @Test func `prefers a saved baseline to its own first snapshot, and fills gaps from the snapshot`() throws {
    try receive(1_000, interface: "eth1")
    var reporter = Reporter(collector: collector())
    let snapshot = reporter.snapshot()
    reporter.begin(with: snapshot)
    #expect(adopt(nil, &reporter) == (false, ["eth1": 1_000]))
    #expect(adopt(baseline(400, isPartial: true), &reporter) == (true, ["eth0": 400, "eth1": 1_000]))
  }

  @Test func `prefers its own acknowledged baseline to a saved one, and fills gaps from the saved one`() {
    var reporter = Reporter(collector: collector())
    reporter.acknowledge(baseline(1_000))
    #expect(adopt(baseline(300, interface: "eth1"), &reporter) == (false, ["eth0": 1_000]))
    reporter.acknowledge(baseline(1_000, isPartial: true))
    #expect(adopt(baseline(300, interface: "eth1"), &reporter) == (false, ["eth0": 1_000, "eth1": 300]))
    #expect(adopt(nil, &reporter) == (false, ["eth0": 1_000, "eth1": 300]))
  }

  @Test func `keeps ids, and the baseline on request, with another collector`() throws {
    var reporter = Reporter(collector: collector())
    reporter.acknowledge(try draft(&reporter, 1_000).nextBaseline)
    reporter.resume(with: collector(), limits: ReportLimits(), keepsBaseline: true)
    var baseline = reporter.baseline
    #expect(bytesIn(baseline) == ["eth0": 1_000])
    reporter.resume(with: collector(), limits: ReportLimits(), keepsBaseline: false)
    baseline = reporter.baseline
    #expect(baseline == nil)
    let last = reporter.lastReportID
    #expect(last == 1_800_000_000)
    // Acknowledgements about the other network don't take precedence over a saved baseline.
    reporter.begin(with: MetricsSnapshot())
    #expect(adopt(self.baseline(400), &reporter) == (true, ["eth0": 400]))
  }

  @Test func `uses the latest limits`() throws {
    var reporter = Reporter(collector: collector(), limits: ReportLimits(maximumListSize: 1))
    var snapshot = MetricsSnapshot()
    let ports = [22, 80].map { ListeningPort(interface: nil, port: $0) }
    snapshot.listeningTCPPorts = .success(Listing(total: 2, sample: ports))
    var report = reporter.draft(of: snapshot, at: now).report
    #expect(report.listeningTCPPorts?.sample.count == 1)
    reporter.resume(with: collector(), limits: ReportLimits(maximumListSize: 2), keepsBaseline: true)
    report = reporter.draft(of: snapshot, at: now).report
    #expect(report.listeningTCPPorts?.sample.count == 2)
  }

  @Test func `ends its snapshot at the deadline`() throws {
    let script = try tree.writeProgram("metrics", "#!/bin/sh\necho '{\"a\":[{\"number\":3}]}'\n")
    let command = try MetricsCommand(path: script, environment: Environment(["PATH": "/usr/bin:/bin"]))
    var reporter = Reporter(collector: collector(command: command))
    let cut = reporter.snapshot(until: .now)
    #expect(cut.customMetrics.isEmpty)
    let whole = reporter.snapshot()
    #expect(whole.customMetrics.count == 1)
  }
}
