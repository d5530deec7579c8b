package import DeviceDefender
package import Platform

/// What moves the baseline of the deltas.
package enum Acknowledgement: String, CaseIterable, Sendable {
  /// The broker or the service has taken the report.
  case publish
  /// Device Defender has accepted it. What it didn't answer is told again in the next report.
  case accepted
}

/// What the environment says about this function, read once and checked whole.
package struct Configuration: Sendable {
  /// The name of the thing that reports are about; nil where the topic doesn't ask for one.
  package var thingName: String?
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
  package var procfsPath = "/proc"
  /// Custom metrics to add to each report.
  package var customMetrics: [SystemMetric] = []
  /// A program that tells further ones.
  package var metricsCommand: MetricsCommand?
  /// Where the baseline and the last report id outlive a restart.
  package var stateDirectory: String?
  package var transport = Transport.https
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
  package init(_ environment: Environment) throws(ConfigurationError) {
    var mistakes: [ConfigurationError.Mistake] = []
    self.init(environment, noting: &mistakes)
    guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
  }

  /// Reads the environment and adds its mistakes to `mistakes`; what they are about is left out, or as without the
  /// variable.
  package init(_ environment: Environment, noting mistakes: inout [ConfigurationError.Mistake]) {
    var reader = ConfigurationReader(environment)
    transport = reader.transport() ?? transport
    topicTemplate = reader.topicTemplate()
    thingName = reader.thingName(isRequired: topicTemplate.namesThing)
    minimumInterval = reader.seconds("DEFENDER_MINIMUM_INTERVAL_SECONDS") ?? minimumInterval
    interval = reader.seconds("SAMPLE_INTERVAL_SECONDS") ?? interval
    isSpread = reader.choice("DEFENDER_JITTER", [("0", false), ("1", true)]) ?? isSpread
    format = reader.choice("DEFENDER_FORMAT", byRawValue: ReportFormat.self) ?? format
    names = reader.choice("DEFENDER_NAMES", byRawValue: ReportNames.self) ?? names
    limits = reader.limits()
    procfsPath = reader.absolutePath("PROCFS_PATH") ?? procfsPath
    stateDirectory = reader.stateDirectory()
    customMetrics = reader.customMetrics()
    metricsCommand = reader.metricsCommand()
    reader.checkAccess()
    acknowledgement =
      reader.choice("DEFENDER_ACKNOWLEDGE", byRawValue: Acknowledgement.self) ?? acknowledgement
    confirmationTime = reader.confirmationTime() ?? confirmationTime
    publishTimeout = transport.publishTimeout
    transportConfiguration = transport.configuration(&reader, self)
    if acknowledgement == .accepted, !transport.takesReservedTopics {
      let others = Transport.all.filter(\.takesReservedTopics).map(\.name).joined(separator: " and ")
      reader.note(
        "DEFENDER_ACKNOWLEDGE",
        "is 'accepted', which is heard over \(others) only; DEFENDER_TRANSPORT is \(transport.name)")
    }
    mistakes += reader.mistakes
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
