package import WireFormats

/// The names of the members of a report.
///
/// AWS IoT Developer Guide, "Device-side metrics", "Sending metrics from devices". The names of custom
/// metrics are the same in both variants.
package struct ReportKeys: Sendable {
  package let header, reportID, version: ShortText
  package let metrics, customMetrics: ShortText
  package let listeningTCPPorts, listeningUDPPorts, ports, port, interface, total: ShortText
  package let networkStatistics, bytesIn, bytesOut, packetsIn, packetsOut: ShortText
  package let tcpConnections, establishedConnections, connections: ShortText
  package let localInterface, localPort, remoteAddress: ShortText

  package static let long = ReportKeys(
    header: "header", reportID: "report_id", version: "version",
    metrics: "metrics", customMetrics: "custom_metrics",
    listeningTCPPorts: "listening_tcp_ports", listeningUDPPorts: "listening_udp_ports",
    ports: "ports", port: "port", interface: "interface", total: "total",
    networkStatistics: "network_stats", bytesIn: "bytes_in", bytesOut: "bytes_out",
    packetsIn: "packets_in", packetsOut: "packets_out",
    tcpConnections: "tcp_connections", establishedConnections: "established_connections",
    connections: "connections",
    localInterface: "local_interface", localPort: "local_port", remoteAddress: "remote_addr")

  package static let short = ReportKeys(
    header: "hed", reportID: "rid", version: "v",
    metrics: "met", customMetrics: "cmet",
    listeningTCPPorts: "tp", listeningUDPPorts: "up",
    ports: "pts", port: "pt", interface: "if", total: "t",
    networkStatistics: "ns", bytesIn: "bi", bytesOut: "bo",
    packetsIn: "pi", packetsOut: "po",
    tcpConnections: "tc", establishedConnections: "ec",
    connections: "cs",
    localInterface: "li", localPort: "lp", remoteAddress: "rad")
}

/// Selects the long names, or the short ones, which make a report about a third smaller.
package enum ReportNames: String, CaseIterable, Sendable {
  case long, short

  package var keys: ReportKeys {
    switch self {
    case .long: .long
    case .short: .short
    }
  }
}

/// The encoding of a report; the raw value is the last level of Device Defender's topic.
package enum ReportFormat: String, CaseIterable, Sendable {
  case json, cbor
}

// These are here and not next to the protocol because the compiler specializes generic code for each writer
// only within a module.
extension DocumentWriter where Self: ~Copyable {
  @inline(__always)
  mutating func member(_ name: ShortText, _ text: ShortText) {
    key(name)
    string(text)
  }

  @inline(__always)
  mutating func member(_ name: ShortText, _ value: UInt64) {
    key(name)
    integer(value)
  }
}
