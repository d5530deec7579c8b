package import AWSClient
package import DeviceDefender
package import Platform

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
  package var format = ReportFormat.json
  package var names = ReportNames.long
  package var limits = ReportLimits()
  package var procfsPath = "/proc"
  package var region: String
  package var endpoint: AWSClient.Endpoint

  /// How long an interval may be, in seconds: a millisecond to a week.
  package static let intervalRange = 0.001...604_800.0

  /// Reads the environment; throws all its mistakes together.
  package init(_ environment: Environment) throws(ConfigurationError) {
    var reader = ConfigurationReader(environment)
    let region = reader.region()
    let endpoint = reader.endpoint(region: region)
    topicTemplate = reader.topicTemplate()
    thingName = reader.thingName(isRequired: topicTemplate.namesThing)
    minimumInterval = reader.seconds("DEFENDER_MINIMUM_INTERVAL_SECONDS") ?? minimumInterval
    interval = reader.seconds("SAMPLE_INTERVAL_SECONDS") ?? interval
    isSpread = reader.choice("DEFENDER_JITTER", ["0": false, "1": true]) ?? isSpread
    format = reader.choice("DEFENDER_FORMAT", byRawValue: ReportFormat.self) ?? format
    names = reader.choice("DEFENDER_NAMES", byRawValue: ReportNames.self) ?? names
    limits = reader.limits()
    procfsPath = reader.procfsPath() ?? procfsPath
    reader.transport()
    reader.checkAccess()
    guard let region, let endpoint, reader.mistakes.isEmpty else {
      throw ConfigurationError(mistakes: reader.mistakes)
    }
    self.region = region
    self.endpoint = endpoint
  }

  /// The topic that reports of `format` go to.
  package func topic(for format: ReportFormat) throws(TopicError) -> Topic {
    try topicTemplate.topic(thing: thingName ?? "", format: format)
  }
}
