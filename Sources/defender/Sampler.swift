import DeviceDefender
import Platform

/// Takes samples one after the other; each one's report counts from the sample before.
struct Sampler: ~Copyable {
  private var reporter: Reporter
  private var last: BootTime?

  init(_ reporter: consuming Reporter) {
    self.reporter = reporter
  }

  mutating func sample(at time: some TimeKeeper) -> Sample {
    let snapshot = reporter.snapshot()
    let now = time.bootTime
    let draft = reporter.draft(of: snapshot, at: time.wallTime)
    // Each sample is shown, and nothing is lost on the way to whoever looks at it.
    reporter.acknowledge(draft.nextBaseline)
    defer { last = now }
    return Sample(report: draft.report, seconds: last.map { $0.duration(to: now).inSeconds })
  }
}

/// A report, and how long after the one before it was made.
struct Sample: Sendable {
  let report: Report
  /// Nil for the first sample.
  let seconds: Double?

  /// Bytes and packets a second since the sample before; nil where there was none, or the counters couldn't be read.
  var rates: (bytesIn: Double, bytesOut: Double, packetsIn: Double, packetsOut: Double)? {
    guard let traffic = report.networkStatistics, let seconds, seconds > 0 else { return nil }
    return (
      Double(traffic.bytesIn) / seconds, Double(traffic.bytesOut) / seconds,
      Double(traffic.packetsIn) / seconds, Double(traffic.packetsOut) / seconds
    )
  }

  /// The sample in a few words, on one line.
  var summary: String {
    func count(_ total: Int?) -> String { total.map { String($0) } ?? "?" }
    var parts = [
      "\(count(report.establishedConnections?.total)) connections",
      "\(count(report.listeningTCPPorts?.total)) TCP and \(count(report.listeningUDPPorts?.total)) UDP ports",
    ]
    if let rates { parts.append("in \(byteRate(rates.bytesIn)), out \(byteRate(rates.bytesOut))") }
    for metric in report.customMetrics {
      if case .number(let value) = metric.value { parts.append("\(metric.name) \(shortNumber(value))") }
    }
    return parts.joined(separator: ", ")
  }
}

/// `1.2 kB/s`: three digits or so.
func byteRate(_ bytes: Double) -> String {
  var value = bytes
  for unit in ["B", "kB", "MB", "GB", "TB"] {
    if value < 999.5 { return "\(unit == "B" ? shortNumber(value.rounded()) : shortNumber(value)) \(unit)/s" }
    value /= 1_000
  }
  return "\(shortNumber(value)) PB/s"
}

/// A number with one decimal, or with none where that is 0 or where the number is large.
func shortNumber(_ value: Double) -> String {
  // Beyond that a number has no decimals anyway, and may not fit.
  guard abs(value) < 1e15 else { return "\(value)" }
  let tenths = (value * 10).rounded() / 10
  return abs(value) >= 100 || tenths == tenths.rounded() ? String(Int(value.rounded())) : "\(tenths)"
}
