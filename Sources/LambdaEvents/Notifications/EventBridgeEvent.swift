/// An event of Amazon EventBridge, or the invocation of one of its schedules. EventBridge ignores the function's response.
///
/// A schedule with a custom input sends exactly that input instead of this event. Read it with ``JSONReadable``.
public struct EventBridgeEvent: LambdaEvent {
  /// EventBridge ignores what the function returns.
  public typealias Answer = Void
  /// What error messages call an event from EventBridge.
  public static let eventName = "an event of Amazon EventBridge"

  /// The event exactly as received, with members that have no property, such as `version`.
  public let json: JSON
  /// The ID of the event. EventBridge may deliver an event twice, with the same ID.
  public let id: String
  /// What happened, such as `EC2 Instance State-change Notification`; `Scheduled Event` from a schedule.
  public let detailType: String
  /// The source, such as `aws.ec2` or the name of an application.
  public let source: String
  /// When it happened, as the source reports it.
  public let time: WallTime
  /// The ARNs of the resources that the event is about; the ARN of the schedule or rule for a schedule.
  public let resources: [String]
  /// The details, in the format of the source. EventBridge Scheduler sends the string `{}`.
  public let detail: JSON

  /// Reads an event. Throws an error if `id`, `detail-type`, `source`, `time` or `detail` is missing or can't be read.
  public init(json: JSON) throws(EventError) {
    id = try json.read("id")
    detailType = try json.read("detail-type")
    source = try json.read("source")
    time = try json.read("time")
    resources = try json.readIfPresent("resources") ?? []
    detail = try json.read("detail")
    self.json = json
  }

  /// Whether a schedule sent the event: a rule with a schedule, or EventBridge Scheduler.
  public var isScheduled: Bool {
    detailType == "Scheduled Event" && (source == "aws.events" || source == "aws.scheduler")
  }

  /// The ID of the account.
  public var accountID: String? { json["account"]?.string }
  /// The region.
  public var region: String? { json["region"]?.string }
}
