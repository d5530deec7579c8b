import Detection
import DeviceDefender
import Glibc

/// A row of the table of metrics.
struct MetricRow {
  enum Unit: Equatable {
    case bytesPerSecond, perSecond
    /// A number with a unit, which may be empty.
    case number(String)

    func text(_ value: Double) -> String {
      switch self {
      case .bytesPerSecond: byteRate(value)
      case .perSecond: "\(fittedNumber(value))/s"
      case .number(let unit): unit.isEmpty ? fittedNumber(value) : "\(fittedNumber(value)) \(unit)"
      }
    }

    /// The top of the scale, if it doesn't depend on the values.
    var top: Double? { self == .number("%") ? 100 : nil }
  }

  let name: String
  /// Nil if the value is unknown.
  let value: Double?
  let unit: Unit
  /// The names, in security profiles, of the metrics that the row shows.
  let metrics: Set<String>
  /// Rows with a larger number are left out first if there isn't enough room.
  let rank: Int

  /// Returns the rows of a sample in the order of the table. `units` has the units of custom metrics, by name.
  static func rows(of sample: Sample, units: [String: String]) -> [MetricRow] {
    let report = sample.report
    func row(
      _ name: String, _ value: Double?, _ unit: Unit, _ rank: Int, _ metrics: DeviceMetric...
    ) -> MetricRow {
      MetricRow(
        name: name, value: value, unit: unit, metrics: Set(metrics.map(\.rawValue)), rank: rank)
    }
    func count(_ total: Int?) -> Double? { total.map { Double($0) } }
    let device = [
      row("bytes in", sample.rates?.bytesIn, .bytesPerSecond, 0, .bytesIn),
      row("bytes out", sample.rates?.bytesOut, .bytesPerSecond, 1, .bytesOut),
      row("packets in", sample.rates?.packetsIn, .perSecond, 4, .packetsIn),
      row("packets out", sample.rates?.packetsOut, .perSecond, 5, .packetsOut),
      row(
        "connections", count(report.establishedConnections?.total), .number(""), 2,
        .establishedConnectionCount, .destinations),
      row(
        "TCP ports", count(report.listeningTCPPorts?.total), .number(""), 6, .listeningTCPPorts,
        .listeningTCPPortCount),
      row(
        "UDP ports", count(report.listeningUDPPorts?.total), .number(""), 7, .listeningUDPPorts,
        .listeningUDPPortCount),
    ]
    return device
      + report.customMetrics.map { metric in
        let name = metric.name.text
        let (value, unit): (Double, String) =
          switch metric.value {
          case .number(let number): (number, units[name] ?? "")
          case .numberList(let numbers): (Double(numbers.count), "entries")
          case .stringList(let texts), .ipList(let texts): (Double(texts.count), "entries")
          }
        return MetricRow(name: name, value: value, unit: .number(unit), metrics: [name], rank: 3)
      }
  }
}

/// Returns a number of at most 9 characters, with an exponent if it is too long otherwise.
func fittedNumber(_ value: Double) -> String {
  let text = shortNumber(value)
  guard text.count > 9, value.isFinite, value != 0 else { return text }
  let exponent = log10(abs(value)).rounded(.down)
  return "\(shortNumber(value / pow(10, exponent)))e\(Int(exponent))"
}
