import Detection
import DeviceDefender
import Platform

/// Takes samples one after the other. The deltas of each report are computed against the previous sample.
struct Sampler: ~Copyable {
  private var reporter: Reporter
  private var last: BootTime?
  /// Evaluates security profiles over the samples; nil without `--profile`.
  private var detector: SampleDetector?

  init(_ reporter: consuming Reporter, detector: SampleDetector? = nil) {
    self.reporter = reporter
    self.detector = detector
    if let detector { self.reporter.keepCompleteSets(detector.completeSets) }
  }

  mutating func sample(at time: some TimeSource) -> Sample {
    let snapshot = reporter.snapshot()
    let now = time.bootTime
    let draft = reporter.draft(of: snapshot, at: time.wallTime)
    // Each sample is shown and can't get lost, so it counts as acknowledged.
    reporter.acknowledge(draft.nextBaseline)
    defer { last = now }
    var sample = Sample(report: draft.report, seconds: last.map { $0.duration(to: now).inSeconds })
    sample.events = detector?.evaluate(snapshot, draft.report, at: time.wallTime) ?? []
    sample.activeAlarms = detector?.activeAlarms
    return sample
  }
}

/// A report, and the seconds since the previous sample.
struct Sample: Sendable {
  let report: Report
  /// Nil for the first sample.
  let seconds: Double?
  /// The violations that this sample began or ended.
  var events: [ViolationEvent] = []
  /// The number of active alarms; nil without security profiles.
  var activeAlarms: Int?

  /// Bytes and packets per second since the previous sample; nil if there is none, or if the counters
  /// couldn't be read.
  var rates: (bytesIn: Double, bytesOut: Double, packetsIn: Double, packetsOut: Double)? {
    guard let traffic = report.networkStatistics, let seconds, seconds > 0 else { return nil }
    return (
      Double(traffic.bytesIn) / seconds, Double(traffic.bytesOut) / seconds,
      Double(traffic.packetsIn) / seconds, Double(traffic.packetsOut) / seconds
    )
  }

  /// A one-line summary of the sample.
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
    if let activeAlarms { parts.append("\(activeAlarms) alarm\(activeAlarms == 1 ? "" : "s")") }
    return parts.joined(separator: ", ")
  }
}

/// Returns a rate such as `1.2 kB/s`, with about three digits.
func byteRate(_ bytes: Double) -> String {
  var value = bytes
  for unit in ["B", "kB", "MB", "GB", "TB"] {
    if value < 999.5 { return "\(unit == "B" ? shortNumber(value.rounded()) : shortNumber(value)) \(unit)/s" }
    value /= 1_000
  }
  return "\(shortNumber(value)) PB/s"
}

/// Returns a number with one decimal, or with none if that is 0 or the number is at least 100.
func shortNumber(_ value: Double) -> String {
  // Larger numbers have no decimals and may not fit in an Int.
  guard abs(value) < 1e15 else { return "\(value)" }
  let tenths = (value * 10).rounded() / 10
  return abs(value) >= 100 || tenths == tenths.rounded() ? String(Int(value.rounded())) : "\(tenths)"
}
