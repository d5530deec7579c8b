/// A batch of messages from an Amazon SQS queue.
public struct SQSEvent: BatchEvent {
  /// What error messages call a batch from SQS.
  public static let eventName = "a batch of Amazon SQS"

  /// The batch exactly as received, with members that have no property, such as a message's `md5OfBody`.
  public let json: JSON
  /// The messages (`Records`), at most as many as the batch size of the event source mapping.
  public let records: [Message]

  /// Reads a batch. Throws an error if `Records` isn't an array, or if a message has no `messageId` or `body`.
  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// Keeps the order of a FIFO queue, whose name ends with `.fifo`.
  public var redelivery: Redelivery {
    records.first?.queueARN?.hasSuffix(".fifo") == true ? .everyRecordAfterFailure : .failedRecords
  }

  /// A message.
  public struct Message: BatchRecord {
    /// The message exactly as received.
    public let json: JSON
    /// The ID that SQS assigned when the message was sent (`messageId`). Each delivery of the message has the same one.
    public let messageID: String
    /// The text that the sender wrote. If S3 or SNS sent the message, it is their notification as JSON.
    public let body: String

    /// Reads an element of `Records`. Throws an error if `messageId` or `body` is missing or isn't a string.
    public init(json: JSON) throws(EventError) {
      messageID = try json.read("messageId")
      body = try json.read("body")
      self.json = json
    }

    /// The ``messageID``, with which a ``BatchResponse`` reports that the message failed.
    public var itemIdentifier: String { messageID }

    /// What identifies this delivery, for example to delete the message or to change its visibility timeout.
    public var receiptHandle: String? { json["receiptHandle"]?.string }
    /// The ARN of the queue.
    public var queueARN: String? { json["eventSourceARN"]?.string }
    /// The attributes that SQS sets, such as `MessageGroupId`.
    public var attributes: [String: String] { json["attributes"]?.texts ?? [:] }
    /// When the message was sent.
    public var sentTime: WallTime? { json["attributes"]?["SentTimestamp"]?.timeInMilliseconds }
    /// How often the message has been received, including this delivery.
    public var receiveCount: Int? {
      json["attributes"]?["ApproximateReceiveCount"]?.string.flatMap { Int($0) }
    }

    /// Returns the sender's attribute called `name` as text, which numbers are too; nil if there is none or it is binary.
    public func attribute(_ name: String) -> String? {
      json["messageAttributes"]?[name]?["stringValue"]?.string
    }

    /// Returns the sender's binary attribute called `name`; nil if there is none or it isn't binary.
    public func binaryAttribute(_ name: String) throws(EventError) -> [UInt8]? {
      guard let value = json["messageAttributes"]?[name]?["binaryValue"], !value.isNull else { return nil }
      return try Base64Bytes(json: value).bytes
    }
  }
}
