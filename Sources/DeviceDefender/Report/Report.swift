package import WireFormats

/// A metrics report of AWS IoT Device Defender.
///
/// AWS IoT Developer Guide, "Device-side metrics", "Sending metrics from devices". A block that couldn't be read is
/// left out; a block that is empty is sent as an empty list, which is what clears an alarm.
package struct Report: Sendable {
  package let id: UInt64
  package private(set) var listeningTCPPorts: Listing<ListeningPort>?
  package private(set) var listeningUDPPorts: Listing<ListeningPort>?
  package private(set) var establishedConnections: Listing<EstablishedConnection>?
  /// What went through since the last report; nil in the first one, which has nothing to count from.
  package private(set) var networkStatistics: Traffic?

  /// The report of `snapshot`.
  ///
  /// - Parameters:
  ///   - id: a positive number that no earlier report of the thing had.
  ///   - snapshot: what to report.
  ///   - baseline: what the deltas are counted from; nil where this is the first report.
  ///   - limits: how many entries a list may have.
  package init(
    id: UInt64, snapshot: MetricsSnapshot, baseline: Baseline?, limits: ReportLimits = ReportLimits()
  ) {
    self.id = id
    listeningTCPPorts = try? snapshot.listeningTCPPorts.get()
    listeningUDPPorts = try? snapshot.listeningUDPPorts.get()
    establishedConnections = try? snapshot.establishedConnections.get()
    if let earlier = baseline?.networkCounters, case .success(let counters) = snapshot.networkCounters {
      networkStatistics = counters.traffic(since: earlier)
    }
  }

  /// Whether nothing could be read, so that there is nothing to report.
  package var isEmpty: Bool { blockCount == 0 }

  /// The report as it is sent.
  package func encoded(as format: ReportFormat, names: ReportNames) -> [UInt8] {
    switch format {
    case .json: encoded(with: JSONWriter(), names.keys)
    case .cbor: encoded(with: CBORWriter(), names.keys)
    }
  }

  private func encoded(with writer: some DocumentWriter, _ keys: ReportKeys) -> [UInt8] {
    var document = writer
    write(to: &document, keys)
    return document.bytes
  }

  private var blockCount: Int {
    (listeningTCPPorts == nil ? 0 : 1) + (listeningUDPPorts == nil ? 0 : 1)
      + (networkStatistics == nil ? 0 : 1) + (establishedConnections == nil ? 0 : 1)
  }

  package func write(to document: inout some DocumentWriter, _ keys: ReportKeys) {
    document.beginMap(count: 2)
    document.key(keys.header)
    document.beginMap(count: 2)
    document.member(keys.reportID, id)
    document.member(keys.version, "1.0")
    document.endMap()
    document.key(keys.metrics)
    writeMetrics(to: &document, keys)
    document.endMap()
  }

  private func writeMetrics(to document: inout some DocumentWriter, _ keys: ReportKeys) {
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
    _ listing: Listing<ListeningPort>, to document: inout some DocumentWriter, _ keys: ReportKeys
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

extension Traffic {
  fileprivate func write(to document: inout some DocumentWriter, _ keys: ReportKeys) {
    document.beginMap(count: 4)
    document.member(keys.bytesIn, bytesIn)
    document.member(keys.bytesOut, bytesOut)
    document.member(keys.packetsIn, packetsIn)
    document.member(keys.packetsOut, packetsOut)
    document.endMap()
  }
}
