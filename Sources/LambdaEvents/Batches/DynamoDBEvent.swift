/// A batch of changes from an Amazon DynamoDB stream.
public struct DynamoDBEvent: BatchEvent {
  /// What error messages call a batch from a DynamoDB stream.
  public static let eventName = "a batch of a DynamoDB stream"

  /// The batch exactly as received, with members that have no property, such as a record's `dynamodb.StreamViewType`.
  public let json: JSON
  /// The changes (`Records`), all from one shard. Those of the same item are in the order in which they happened.
  public let records: [Record]

  /// Reads a batch. Throws an error if `Records` isn't an array, or if a record can't be read.
  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// Always ``Redelivery/fromFirstFailure``, because Lambda keeps the order of a shard.
  public var redelivery: Redelivery { .fromFirstFailure }

  /// How an item changed.
  public enum Change: String, Sendable {
    /// The item was created.
    case insert = "INSERT"
    /// At least one attribute of an existing item changed.
    case modify = "MODIFY"
    /// The item was deleted, by a request or because its time to live ended: ``DynamoDBEvent/Record/isExpiry``.
    case remove = "REMOVE"
  }

  /// A change of an item.
  public struct Record: BatchRecord {
    /// The record exactly as received.
    public let json: JSON
    /// The place of the change in its shard (`dynamodb.SequenceNumber`): decimal digits, too many for an integer type.
    public let sequenceNumber: String
    /// The primary key of the item.
    public let keys: [String: AttributeValue]
    /// The item before the change; nil if it didn't exist or the stream doesn't include it.
    public let oldImage: [String: AttributeValue]?
    /// The item after the change; nil if it doesn't exist or the stream doesn't include it.
    public let newImage: [String: AttributeValue]?

    /// Reads an element of `Records`.
    ///
    /// Throws an error if `SequenceNumber` or `Keys` is missing from `dynamodb`, or if an attribute isn't in DynamoDB's format.
    public init(json: JSON) throws(EventError) {
      let change = try json.object("dynamodb")
      sequenceNumber = try change.read("SequenceNumber")
      keys = try change.read("Keys")
      oldImage = try change.readIfPresent("OldImage")
      newImage = try change.readIfPresent("NewImage")
      self.json = json
    }

    /// The ``sequenceNumber``, with which a ``BatchResponse`` reports that the record failed.
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
