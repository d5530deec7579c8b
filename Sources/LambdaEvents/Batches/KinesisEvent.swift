/// A batch of records from an Amazon Kinesis data stream.
public struct KinesisEvent: BatchEvent {
  public static let eventName = "a batch of Amazon Kinesis"

  public let json: JSON
  public let records: [Record]

  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  public var redelivery: Redelivery { .fromFirstFailure }

  /// A record.
  public struct Record: BatchRecord {
    /// The record exactly as received.
    public let json: JSON
    public let partitionKey: String
    public let sequenceNumber: String
    /// What the producer sent, after decoding Base64. An aggregated record of the Kinesis Producer Library isn't split.
    public let data: [UInt8]

    public init(json: JSON) throws(EventError) {
      let kinesis = try json.object("kinesis")
      partitionKey = try kinesis.read("partitionKey")
      sequenceNumber = try kinesis.read("sequenceNumber")
      data = try kinesis.base64("data")
      self.json = json
    }

    public var itemIdentifier: String { sequenceNumber }

    /// When the stream received the record.
    public var arrivalTime: WallTime? { json["kinesis"]?["approximateArrivalTimestamp"]?.timeInSeconds }
    /// The ARN of the stream.
    public var streamARN: String? { json["eventSourceARN"]?.string }
    /// The shard, such as `shardId-000000000006`.
    public var shardID: String? {
      json["eventID"]?.string?.split(separator: ":", omittingEmptySubsequences: false).first.map {
        String($0)
      }
    }
  }
}
