/// A batch of messages from an Amazon SQS queue.
public struct SQSEvent: BatchEvent {
  public static let eventName = "a batch of Amazon SQS"

  public let json: JSON
  public let records: [Message]

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
    public let messageID: String
    public let body: String

    public init(json: JSON) throws(EventError) {
      messageID = try json.read("messageId")
      body = try json.read("body")
      self.json = json
    }

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
