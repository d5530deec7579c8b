package import DeviceDefender
package import Platform

/// The agent's configuration, read from the environment once and validated as a whole.
package struct Configuration: Sendable {
  /// The name of the thing that the reports describe; nil if it isn't set and the topic doesn't need it.
  package var thingName: String?
  /// The variable that sets the thing's name, or that should set it.
  package private(set) var thingNameVariable = Variable.awsThingName
  package var topicTemplate = TopicTemplate.deviceDefender
  package var interval = Duration.seconds(300)
  /// The minimum to which a shorter interval is raised. Device Defender throttles a device that reports more often.
  package var minimumInterval = Duration.seconds(300)
  /// Whether the first report of a long-lived loop waits for this thing's slot.
  package var isSpread = true
  /// Whether the first sample only becomes the baseline and isn't published, as in the Python agent.
  package var beginsWithBaseline = false
  /// Whether a loop connects before it waits for its first report. Lambda doesn't: an invocation reports at once.
  package var connectsAtStart = false
  package var format = ReportFormat.json
  package var names = ReportNames.long
  package var limits = ReportLimits()
  /// `DEFENDER_MAX_REPORT_BYTES`; nil if the environment leaves the limit to the transport.
  package var givenMaximumReportBytes: Int?
  package var procfsPath = "/proc"
  /// Custom metrics to add to each report.
  package var customMetrics: [SystemMetric] = []
  /// The program that writes further custom metrics; nil if none is configured.
  package var metricsCommand: MetricsCommand?
  /// The security profiles to evaluate; nil if none is configured.
  package var detection: DetectionConfiguration?
  /// The topics of commands and of the responses to them; nil if the agent carries out no commands.
  package var commandTopics: CommandTopics?
  /// The directory that keeps the baseline and the last report id across restarts; nil if none is configured.
  package var stateDirectory: String?
  /// The largest size of the spool in the state directory, in bytes; 0 if unsent reports aren't kept.
  package var spoolBytes = 0
  /// How to reach AWS services and authenticate to them.
  package private(set) var access: Access
  package var transport: Transport
  package var acknowledgement = Acknowledgement.publish
  /// How long to wait for Device Defender's answer to a report, if the transport receives answers.
  package var confirmationTime = Duration.seconds(10)
  /// The limit of one publish, including all retries.
  package var publishTimeout = Duration.seconds(10)
  /// The transport's own configuration; nil if the transport has none, or if mistakes were noted.
  package var transportConfiguration: (any TransportConfiguration)?

  /// The allowed intervals in seconds, from a millisecond to a week.
  package static let intervalRange = 0.001...604_800.0

  /// Reads the environment. Throws one error with all its mistakes.
  ///
  /// `transport` applies if the environment names none.
  package init(_ environment: Environment, transport: Transport = .https) throws(ConfigurationError) {
    var mistakes: [ConfigurationError.Mistake] = []
    self.init(environment, transport: transport, noting: &mistakes)
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
  }

  /// Reads the environment and adds its mistakes to `mistakes`. A setting with a mistake may be missing or have its default.
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
    detection = reader.detection(thing: thingName)
    commandTopics = reader.commandTopics(self)
    stateDirectory = reader.stateDirectory()
    spoolBytes = reader.spoolBytes(stateDirectory: stateDirectory)
    access = reader.readAccess()
    reader.readAcknowledgement(into: &self)
    publishTimeout = self.transport.publishTimeout
    transportConfiguration = self.transport.configuration(&reader, self)
    reader.checkAcknowledgement(self)
    reader.checkCommands(self)
    mistakes += reader.mistakes
  }

  /// Reads only the variables that decide the content of reports and, with `withSchedule`, their interval. Adds mistakes in
  /// them to `mistakes`.
  package init(
    ofReports environment: Environment, withSchedule: Bool = false,
    noting mistakes: inout [ConfigurationError.Mistake]
  ) {
    var reader = ConfigurationReader(environment)
    access = Access(reading: environment)
    transport = .https
    if withSchedule { reader.readSchedule(into: &self) }
    reader.readReports(into: &self)
    reader.readCollection(into: &self)
    mistakes += reader.mistakes
  }

  /// Returns the interval between reports: `wanted`, or the configured one if that is nil, raised to the minimum.
  package func effectiveInterval(wanted: Duration? = nil) -> Duration {
    max(wanted ?? interval, minimumInterval)
  }

  /// Returns the topic of reports in `format`.
  package func topic(for format: ReportFormat) throws(TopicError) -> Topic {
    try topicTemplate.topic(thing: thingName ?? "", format: format)
  }

  /// Returns a collector of the metrics to report.
  package func collector(log: Log, or shutdown: ShutdownSignal?) -> Collector {
    var collector = Collector(
      procfs: ProcRoot(procfsPath), log: log, maximumListSize: limits.maximumListSize,
      systemMetrics: customMetrics, command: metricsCommand)
    collector.shutdownSignal = shutdown
    return collector
  }

  /// Returns a keeper of the configured state directory, which it hasn't opened yet.
  package func stateKeeper(log: Log) -> StateKeeper {
    StateKeeper(
      path: stateDirectory, procfs: ProcRoot(procfsPath), log: log, spoolLimit: spoolBytes)
  }
}
