/// A notification from an Amazon SNS topic. SNS ignores the function's response.
public struct SNSEvent: LambdaEvent {
  public typealias Answer = Void
  public static let eventName = "a notification of Amazon SNS"

  public let json: JSON
  /// The notifications. SNS sends one at a time.
  public let records: [Notification]

  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// A notification.
  public struct Notification: JSONReadable, Sendable {
    /// The record exactly as received.
    public let json: JSON
    public let messageID: String
    public let topicARN: String
    public let message: String

    public init(json: JSON) throws(EventError) {
      let notification = try json.object("Sns")
      messageID = try notification.read("MessageId")
      topicARN = try notification.read("TopicArn")
      message = try notification.read("Message")
      self.json = json
    }

    /// The subject; nil if the publisher set none.
    public var subject: String? { json["Sns"]?["Subject"]?.string }
    /// When the message was published.
    public var time: WallTime? { json["Sns"]?["Timestamp"].flatMap { try? WallTime(json: $0) } }
    /// The ARN of the subscription.
    public var subscriptionARN: String? { json["EventSubscriptionArn"]?.string }

    /// Returns the value of the publisher's attribute called `name`, which is Base64 if its type is `Binary`; nil if there is none.
    public func attribute(_ name: String) -> String? {
      json["Sns"]?["MessageAttributes"]?[name]?["Value"]?.string
    }
  }
}
