/// A batch of records from an Amazon Kinesis data stream.
public struct KinesisEvent: BatchEvent {
  /// What error messages call a batch from Kinesis.
  public static let eventName = "a batch of Amazon Kinesis"

  /// The batch exactly as received, with members that have no property, such as a record's `invokeIdentityArn`.
  public let json: JSON
  /// The records (`Records`), all from one shard. Those with the same partition key are in the order in which the stream received them.
  public let records: [Record]

  /// Reads a batch. Throws an error if `Records` isn't an array, or if a record can't be read.
  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// Always ``Redelivery/fromFirstFailure``, because Lambda keeps the order of a shard.
  public var redelivery: Redelivery { .fromFirstFailure }

  /// A record.
  public struct Record: BatchRecord {
    /// The record exactly as received.
    public let json: JSON
    /// The key that the producer chose (`kinesis.partitionKey`). Records with the same key are in the same shard.
    public let partitionKey: String
    /// The place of the record in its shard (`kinesis.sequenceNumber`): decimal digits, too many for an integer type.
    public let sequenceNumber: String
    /// What the producer sent, after decoding Base64. An aggregated record of the Kinesis Producer Library isn't split.
    public let data: [UInt8]

    /// Reads an element of `Records`.
    ///
    /// Throws an error if `partitionKey`, `sequenceNumber` or `data` is missing from `kinesis`, or if `data` isn't Base64.
    public init(json: JSON) throws(EventError) {
      let kinesis = try json.object("kinesis")
      partitionKey = try kinesis.read("partitionKey")
      sequenceNumber = try kinesis.read("sequenceNumber")
      data = try kinesis.base64("data")
      self.json = json
    }

    /// The ``sequenceNumber``, with which a ``BatchResponse`` reports that the record failed.
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
