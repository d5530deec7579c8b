/// A batch of changes from an Amazon DynamoDB stream.
public struct DynamoDBEvent: BatchEvent {
  public static let eventName = "a batch of a DynamoDB stream"

  public let json: JSON
  public let records: [Record]

  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  public var redelivery: Redelivery { .fromFirstFailure }

  /// How an item changed.
  public enum Change: String, Sendable {
    case insert = "INSERT"
    case modify = "MODIFY"
    case remove = "REMOVE"
  }

  /// A change of an item.
  public struct Record: BatchRecord {
    /// The record exactly as received.
    public let json: JSON
    public let sequenceNumber: String
    /// The primary key of the item.
    public let keys: [String: AttributeValue]
    /// The item before the change; nil if it didn't exist or the stream doesn't include it.
    public let oldImage: [String: AttributeValue]?
    /// The item after the change; nil if it doesn't exist or the stream doesn't include it.
    public let newImage: [String: AttributeValue]?

    public init(json: JSON) throws(EventError) {
      let change = try json.object("dynamodb")
      sequenceNumber = try change.read("SequenceNumber")
      keys = try change.read("Keys")
      oldImage = try change.readIfPresent("OldImage")
      newImage = try change.readIfPresent("NewImage")
      self.json = json
    }

    public var itemIdentifier: String { sequenceNumber }

    /// How the item changed; nil if the stream sent another word, which `json["eventName"]` has.
    public var change: Change? { json["eventName"]?.string.flatMap { Change(rawValue: $0) } }
    /// When the item changed, to the second unless the stream sends milliseconds.
    public var time: WallTime? { json["dynamodb"]?["ApproximateCreationDateTime"]?.timeInSeconds }
    /// The ARN of the stream.
    public var streamARN: String? { json["eventSourceARN"]?.string }
    /// Whether DynamoDB removed the item because its time to live ended.
    public var isExpiry: Bool {
      change == .remove && json["userIdentity"]?["principalId"]?.string == "dynamodb.amazonaws.com"
    }
  }
}
