package import DeviceDefender

/// What one run of a ``ReportLoop`` should do. If `interval`, `format` or `names` is nil, the configured value applies.
package struct ReportPlan: Equatable, Sendable {
  /// The number of reports to make; nil for as many as the time until the deadline allows.
  package var reports: Int?
  /// The requested interval. The loop raises it to the configured minimum.
  package var interval: Duration?
  package var format: ReportFormat?
  package var names: ReportNames?
  /// Whether reports are made but not published.
  package var isDryRun = false

  package init(reports: Int? = nil) {
    self.reports = reports
  }
}

/// A plan whose missing values come from the configuration.
struct ReportWork {
  let reports: Int?
  /// A command can change it.
  var interval: Duration
  let wantedInterval: Duration
  let format: ReportFormat
  let names: ReportNames
  let isDryRun: Bool
  let topic: Topic

  /// Throws if the configured topic can't be published to.
  init(_ plan: ReportPlan, _ configuration: Configuration) throws(TopicError) {
    reports = plan.reports
    wantedInterval = plan.interval ?? configuration.interval
    interval = configuration.effectiveInterval(wanted: plan.interval)
    format = plan.format ?? configuration.format
    names = plan.names ?? configuration.names
    isDryRun = plan.isDryRun
    topic = try configuration.topic(for: format)
  }
}
