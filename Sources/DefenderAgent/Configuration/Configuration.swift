package import DeviceDefender
package import Platform

/// What the environment says about this function, read once and checked whole.
package struct Configuration: Sendable {
  /// The name of the thing that reports are about; nil where the topic doesn't ask for one.
  package var thingName: String?
  /// The variable that names the thing, or should.
  package private(set) var thingNameVariable = Variable.awsThingName
  package var topicTemplate = TopicTemplate.deviceDefender
  package var interval = Duration.seconds(300)
  /// Below this an interval is raised: Device Defender throttles a device that reports more often.
  package var minimumInterval = Duration.seconds(300)
  /// Whether the first report of a long-lived loop waits for this thing's share of the interval.
  package var isSpread = true
  /// Whether the first sample only begins the deltas and isn't published, as with the Python agent.
  package var beginsWithBaseline = false
  package var format = ReportFormat.json
  package var names = ReportNames.long
  package var limits = ReportLimits()
  /// `DEFENDER_MAX_REPORT_BYTES`; nil if the environment leaves the limit to the transport.
  package var givenMaximumReportBytes: Int?
  package var procfsPath = "/proc"
  /// Custom metrics to add to each report.
  package var customMetrics: [SystemMetric] = []
  /// A program that tells further ones.
  package var metricsCommand: MetricsCommand?
  /// Where the baseline and the last report id outlive a restart.
  package var stateDirectory: String?
  /// How services of AWS are reached, and as whom.
  package private(set) var access: Access
  package var transport: Transport
  package var acknowledgement = Acknowledgement.publish
  /// How long a report waits for what Device Defender says about it, with a transport that hears that.
  package var confirmationTime = Duration.seconds(10)
  /// How long one publish may take at most, with everything that is tried again.
  package var publishTimeout = Duration.seconds(10)
  /// What the transport's publisher is made of; nil where it needs nothing, or mistakes were noted.
  package var transportConfiguration: (any TransportConfiguration)?

  /// How long an interval may be, in seconds: a millisecond to a week.
  package static let intervalRange = 0.001...604_800.0

  /// Reads the environment; throws all its mistakes together.
  ///
  /// `transport` is the one to use if the environment names none.
  package init(_ environment: Environment, transport: Transport = .https) throws(ConfigurationError) {
    var mistakes: [ConfigurationError.Mistake] = []
    self.init(environment, transport: transport, noting: &mistakes)
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
  }

  /// Reads the environment and adds its mistakes to `mistakes`; what they are about is left out, or as without the
  /// variable.
  package init(
    _ environment: Environment, transport: Transport = .https,
    noting mistakes: inout [ConfigurationError.Mistake]
  ) {
    var reader = ConfigurationReader(environment)
    access = Access(reading: environment)
    self.transport = reader.transport() ?? transport
    topicTemplate = reader.topicTemplate()
    thingName = reader.thingName(isRequired: topicTemplate.namesThing)
    thingNameVariable = reader.thingNameVariable
    reader.readSchedule(into: &self)
    reader.readReports(into: &self)
    reader.readCollection(into: &self)
    stateDirectory = reader.stateDirectory()
    access = reader.readAccess()
    reader.readAcknowledgement(into: &self)
    publishTimeout = self.transport.publishTimeout
    transportConfiguration = self.transport.configuration(&reader, self)
    reader.checkAcknowledgement(self)
    mistakes += reader.mistakes
  }

  /// Reads what reports are made of, and nothing about publishing them; adds mistakes to `mistakes`.
  package init(ofReports environment: Environment, noting mistakes: inout [ConfigurationError.Mistake]) {
    var reader = ConfigurationReader(environment)
    access = Access(reading: environment)
    transport = .https
    reader.readReports(into: &self)
    reader.readCollection(into: &self)
    mistakes += reader.mistakes
  }

  /// The interval that reports are made in: that of the environment, or `wanted`, but no shorter than the minimum.
  package func effectiveInterval(wanted: Duration? = nil) -> Duration {
    max(wanted ?? interval, minimumInterval)
  }

  /// The topic that reports of `format` go to.
  package func topic(for format: ReportFormat) throws(TopicError) -> Topic {
    try topicTemplate.topic(thing: thingName ?? "", format: format)
  }

  /// A collector of what is to be reported.
  package func collector(log: Log, or shutdown: ShutdownSignal?) -> Collector {
    var collector = Collector(
      procfs: ProcRoot(procfsPath), log: log, maximumListSize: limits.maximumListSize,
      systemMetrics: customMetrics, command: metricsCommand)
    collector.shutdownSignal = shutdown
    return collector
  }

  /// A keeper of the state that this configuration asks for; not opened yet.
  package func stateKeeper(log: Log) -> StateKeeper {
    StateKeeper(path: stateDirectory, procfs: ProcRoot(procfsPath), log: log)
  }
}
