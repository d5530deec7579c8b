/// A notification from an Amazon SNS topic. SNS ignores the function's response.
public struct SNSEvent: LambdaEvent {
  /// SNS ignores what the function returns.
  public typealias Answer = Void
  /// What error messages call a notification from SNS.
  public static let eventName = "a notification of Amazon SNS"

  /// The event exactly as received, with members that have no property, such as the notification's `Signature`.
  public let json: JSON
  /// The notifications. SNS sends one at a time.
  public let records: [Notification]

  /// Reads an event. Throws an error if `Records` isn't an array, or if a notification can't be read.
  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// A notification.
  public struct Notification: JSONReadable, Sendable {
    /// The record exactly as received.
    public let json: JSON
    /// The ID that SNS assigned when the message was published (`Sns.MessageId`). If SNS delivers it again, the ID is the same.
    public let messageID: String
    /// The ARN of the topic to which the message was published (`Sns.TopicArn`).
    public let topicARN: String
    /// The text that the publisher wrote (`Sns.Message`). AWS services, such as a CloudWatch alarm, write JSON.
    public let message: String

    /// Reads an element of `Records`. Throws an error if `MessageId`, `TopicArn` or `Message` is missing from `Sns`.
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
