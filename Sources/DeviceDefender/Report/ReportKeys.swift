package import WireFormats

/// The names of the members of a report.
///
/// AWS IoT Developer Guide, "Device-side metrics", "Sending metrics from devices". Names of custom metrics are the
/// same in both.
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

/// Long names, or the short ones that make a report about a third smaller.
package enum ReportNames: String, CaseIterable, Sendable {
  case long, short

  package var keys: ReportKeys {
    switch self {
    case .long: .long
    case .short: .short
    }
  }
}

/// How a report is encoded; the name is the last part of the topic that takes it.
package enum ReportFormat: String, CaseIterable, Sendable {
  case json, cbor
}

// Here and not beside the protocol, because the compiler makes a copy for each writer of what is in the same module.
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
