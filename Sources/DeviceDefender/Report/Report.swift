package import WireFormats

/// A metrics report for AWS IoT Device Defender.
///
/// AWS IoT Developer Guide, "Device-side metrics", "Sending metrics from devices". A report omits a block
/// that couldn't be read. An empty block is sent as an empty list, because that is what clears an alarm.
package struct Report: Sendable {
  package let id: UInt64
  package private(set) var listeningTCPPorts: Listing<ListeningPort>?
  package private(set) var listeningUDPPorts: Listing<ListeningPort>?
  package private(set) var establishedConnections: Listing<EstablishedConnection>?
  /// The traffic since the last report; nil in the first report, which has no baseline.
  package private(set) var networkStatistics: Traffic?

  /// The custom metrics; empty if none is configured.
  package private(set) var customMetrics: [CustomMetric]
  private var maximumReportBytes: Int
  /// Selects the entries to keep if a list has to be shortened.
  private let generator: SeededGenerator

  /// Creates the report of `snapshot`.
  ///
  /// - Parameters:
  ///   - id: a positive number that no earlier report of the thing has used.
  ///   - snapshot: the values to report.
  ///   - baseline: the counters that deltas are computed against; nil for the first report.
  ///   - limits: the limits of list sizes and of the report's size.
  ///   - generator: selects the entries to keep of a list that is too long.
  package init(
    id: UInt64, snapshot: MetricsSnapshot, baseline: Baseline?, limits: ReportLimits = ReportLimits(),
    generator: SeededGenerator = .seededBySystem()
  ) {
    var generator = generator
    self.id = id
    maximumReportBytes = limits.maximumReportBytes
    let size = limits.maximumListSize
    listeningTCPPorts = (try? snapshot.listeningTCPPorts.get())?.cut(to: size, using: &generator)
    listeningUDPPorts = (try? snapshot.listeningUDPPorts.get())?.cut(to: size, using: &generator)
    establishedConnections = (try? snapshot.establishedConnections.get())?.cut(to: size, using: &generator)
    if let earlier = baseline?.networkCounters, case .success(let counters) = snapshot.networkCounters {
      networkStatistics = counters.traffic(since: earlier)
    }
    customMetrics = snapshot.customMetrics
    // The first sample has no difference to report; 0.0 would be false.
    if let earlier = baseline?.processorTimes, case .success(let times) = snapshot.processorTimes {
      let percent = CustomMetricValue.number(times.busyPercent(since: earlier))
      customMetrics = snapshot.processorMetrics.map { CustomMetric(name: $0, value: percent) } + customMetrics
    }
    self.generator = generator
  }

  /// Whether the report has no metrics, because none could be read.
  package var isEmpty: Bool { blockCount == 0 && customMetrics.isEmpty }

  /// Returns the report with a size limit of at most `bytes`; nil means no further limit.
  package func limited(to bytes: Int?) -> Report {
    var report = self
    report.maximumReportBytes = min(maximumReportBytes, bytes ?? .max)
    return report
  }

  /// Returns the encoded report.
  ///
  /// If it exceeds the size limit, all lists are shortened in the same proportion, by as little as necessary;
  /// the totals don't change. The entries to keep are a uniform random sample, so they represent the list. If
  /// that isn't enough, custom metrics are left out.
  package func encoded(as format: ReportFormat, names: ReportNames) -> [UInt8] {
    let whole = encoding(as: format, names.keys)
    guard whole.count > maximumReportBytes else { return whole }
    let ranking = Ranking(self)
    var best = cut(by: ranking, keeping: 0).encoding(as: format, names.keys)
    guard best.count <= maximumReportBytes else { return withoutLists(as: format, names.keys) }
    var fitting = 0
    var tooMany = ranking.entryCount
    while tooMany - fitting > 1 {
      let middle = fitting + (tooMany - fitting) / 2
      let candidate = cut(by: ranking, keeping: middle).encoding(as: format, names.keys)
      if candidate.count <= maximumReportBytes {
        best = candidate
        fitting = middle
      } else {
        tooMany = middle
      }
    }
    return best
  }

  private func encoding(as format: ReportFormat, _ keys: ReportKeys) -> [UInt8] {
    switch format {
    case .json:
      var document = JSONWriter(capacity: expectedSize)
      write(to: &document, keys)
      return document.bytes
    case .cbor:
      var document = CBORWriter(capacity: expectedSize)
      write(to: &document, keys)
      return document.bytes
    }
  }

  /// An estimate of the report's size in bytes, for the initial capacity.
  private var expectedSize: Int {
    let ports = (listeningTCPPorts?.sample.count ?? 0) + (listeningUDPPorts?.sample.count ?? 0)
    return 512 + 48 * ports + 96 * (establishedConnections?.sample.count ?? 0) + 64 * customMetrics.count
  }

  /// Returns the report with empty lists and the longest prefix of the custom metrics that fits.
  private func withoutLists(as format: ReportFormat, _ keys: ReportKeys) -> [UInt8] {
    var report = cut(by: Ranking(self), keeping: 0)
    while true {
      let bytes = report.encoding(as: format, keys)
      if bytes.count <= maximumReportBytes || report.customMetrics.isEmpty { return bytes }
      report.customMetrics.removeLast()
    }
  }

  /// The order in which entries are removed from each list: the largest rank first.
  private struct Ranking {
    let tcpPorts, udpPorts, connections: [Int]

    init(_ report: Report) {
      var generator = report.generator
      tcpPorts = Array(0..<(report.listeningTCPPorts?.sample.count ?? 0)).shuffled(using: &generator)
      udpPorts = Array(0..<(report.listeningUDPPorts?.sample.count ?? 0)).shuffled(using: &generator)
      connections = Array(0..<(report.establishedConnections?.sample.count ?? 0)).shuffled(using: &generator)
    }

    var entryCount: Int { tcpPorts.count + udpPorts.count + connections.count }
  }

  /// Returns the report with about `count` of its list entries, never more: the same share of each list.
  private func cut(by ranking: Ranking, keeping count: Int) -> Report {
    let share = Double(count) / Double(max(ranking.entryCount, 1))
    var report = self
    report.listeningTCPPorts = listeningTCPPorts?.cut(to: share, by: ranking.tcpPorts)
    report.listeningUDPPorts = listeningUDPPorts?.cut(to: share, by: ranking.udpPorts)
    report.establishedConnections = establishedConnections?.cut(to: share, by: ranking.connections)
    return report
  }

  private var blockCount: Int {
    (listeningTCPPorts == nil ? 0 : 1) + (listeningUDPPorts == nil ? 0 : 1)
      + (networkStatistics == nil ? 0 : 1) + (establishedConnections == nil ? 0 : 1)
  }

  package func write(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    // AWS requires at least one of `metrics` and `custom_metrics`.
    let hasMetrics = blockCount > 0 || customMetrics.isEmpty
    document.beginMap(count: 1 + (hasMetrics ? 1 : 0) + (customMetrics.isEmpty ? 0 : 1))
    document.key(keys.header)
    document.beginMap(count: 2)
    document.member(keys.reportID, id)
    document.member(keys.version, "1.0")
    document.endMap()
    if hasMetrics {
      document.key(keys.metrics)
      writeMetrics(to: &document, keys)
    }
    if !customMetrics.isEmpty {
      document.key(keys.customMetrics)
      document.beginMap(count: customMetrics.count)
      for metric in customMetrics { metric.write(to: &document) }
      document.endMap()
    }
    document.endMap()
  }

  private func writeMetrics(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    document.beginMap(count: blockCount)
    if let listeningTCPPorts {
      document.key(keys.listeningTCPPorts)
      write(listeningTCPPorts, to: &document, keys)
    }
    if let listeningUDPPorts {
      document.key(keys.listeningUDPPorts)
      write(listeningUDPPorts, to: &document, keys)
    }
    if let networkStatistics {
      document.key(keys.networkStatistics)
      networkStatistics.write(to: &document, keys)
    }
    if let establishedConnections {
      document.key(keys.tcpConnections)
      document.beginMap(count: 1)
      document.key(keys.establishedConnections)
      document.beginMap(count: 2)
      document.key(keys.connections)
      document.beginList(count: establishedConnections.sample.count)
      for connection in establishedConnections.sample { connection.write(to: &document, keys) }
      document.endList()
      document.member(keys.total, UInt64(establishedConnections.total))
      document.endMap()
      document.endMap()
    }
    document.endMap()
  }

  private func write(
    _ listing: Listing<ListeningPort>, to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys
  ) {
    document.beginMap(count: 2)
    document.key(keys.ports)
    document.beginList(count: listing.sample.count)
    for port in listing.sample { port.write(to: &document, keys) }
    document.endList()
    document.member(keys.total, UInt64(listing.total))
    document.endMap()
  }
}

extension Listing {
  /// Returns the listing with at most `size` entries: a uniform random sample in the original order.
  fileprivate func cut(to size: Int, using generator: inout SeededGenerator) -> Listing {
    guard sample.count > size else { return self }
    let ranks = Array(sample.indices).shuffled(using: &generator)
    return keeping(max(size, 0), by: ranks)
  }

  /// Returns the listing with a fraction of its entries: those with the smallest ranks.
  fileprivate func cut(to share: Double, by ranks: [Int]) -> Listing {
    keeping(Int(Double(sample.count) * share), by: ranks)
  }

  private func keeping(_ count: Int, by ranks: [Int]) -> Listing {
    Listing(total: total, sample: zip(sample, ranks).filter { $0.1 < count }.map(\.0))
  }
}
