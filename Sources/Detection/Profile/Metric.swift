/// A metric that a behavior can name.
package enum Metric: Hashable, Sendable {
  case device(DeviceMetric)
  /// A custom metric, by its name.
  case custom(String)

  /// The name in profiles and events.
  package var name: String {
    switch self {
    case .device(let metric): metric.rawValue
    case .custom(let name): name
    }
  }
}

/// The device-side metrics that a report can have, besides custom metrics (AWS IoT Device Defender, "Device-side metrics").
package enum DeviceMetric: String, CaseIterable, Sendable {
  case bytesIn = "aws:all-bytes-in"
  case bytesOut = "aws:all-bytes-out"
  case packetsIn = "aws:all-packets-in"
  case packetsOut = "aws:all-packets-out"
  case listeningTCPPortCount = "aws:num-listening-tcp-ports"
  case listeningUDPPortCount = "aws:num-listening-udp-ports"
  case establishedConnectionCount = "aws:num-established-tcp-connections"
  case listeningTCPPorts = "aws:listening-tcp-ports"
  case listeningUDPPorts = "aws:listening-udp-ports"
  case destinations = "aws:destination-ip-addresses"

  /// The position of the metric's datapoint in an ``Observation``.
  package var slot: Int {
    switch self {
    case .bytesIn: 0
    case .bytesOut: 1
    case .packetsIn: 2
    case .packetsOut: 3
    case .listeningTCPPortCount: 4
    case .listeningUDPPortCount: 5
    case .establishedConnectionCount: 6
    case .listeningTCPPorts: 7
    case .listeningUDPPorts: 8
    case .destinations: 9
    }
  }

  /// Whether the metric is the traffic since the last report, which a window adds up.
  package var isDelta: Bool { slot < 4 }

  /// The kind of value that a behavior compares the metric with.
  var valueKind: ValueKind {
    switch self {
    case .listeningTCPPorts, .listeningUDPPorts: .ports
    case .destinations: .cidrs
    default: .count
    }
  }

  /// Whether a behavior must have `durationSeconds` (true), must not (false), or may have it (nil).
  var needsDuration: Bool? {
    switch self {
    case .listeningTCPPorts, .listeningUDPPorts, .destinations: false
    case .establishedConnectionCount: nil
    default: true
    }
  }

  /// The metrics that AWS measures in the cloud. No report has them.
  static let ofTheCloud: Set<String> = [
    "aws:message-byte-size", "aws:num-messages-received", "aws:num-messages-sent",
    "aws:num-authorization-failures", "aws:source-ip-address", "aws:num-connection-attempts",
    "aws:num-disconnects", "aws:disconnect-duration",
  ]
}

/// The kinds of `value` in criteria; the raw values are their keys.
package enum ValueKind: String, CaseIterable, Sendable {
  case count, cidrs, ports, number, numbers, strings
}
