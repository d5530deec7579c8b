/// A notification of Amazon S3 about objects of a bucket. S3 ignores the function's response.
///
/// If the notification arrives through SQS or SNS, it is the text of a message: `try S3Event(message.body)`. Through EventBridge, it
/// has another format, ``EventBridgeEvent/detail``.
public struct S3Event: LambdaEvent {
  /// S3 ignores what the function returns.
  public typealias Answer = Void
  /// What error messages call a notification from S3.
  public static let eventName = "a notification of Amazon S3"

  /// The notification exactly as received, with members that have no property, such as a record's `requestParameters.sourceIPAddress`.
  public let json: JSON
  /// What happened to objects (`Records`). S3 usually sends one record.
  public let records: [Record]

  /// Reads a notification. Throws an error if `Records` isn't an array, or if a record can't be read.
  ///
  /// The test message that S3 sends to a new SQS queue or SNS topic (`s3:TestEvent`) has no `Records`.
  public init(json: JSON) throws(EventError) {
    records = try json.read("Records")
    self.json = json
  }

  /// Something that happened to an object.
  public struct Record: JSONReadable, Sendable {
    /// The record exactly as received.
    public let json: JSON
    /// What happened, such as `ObjectCreated:Put`.
    public let eventName: String
    /// The name of the bucket (`s3.bucket.name`).
    public let bucket: String
    /// The object's key, decoded.
    public let key: String

    /// Reads an element of `Records`. Throws an error if `eventName`, `s3.bucket.name` or `s3.object.key` is missing.
    public init(json: JSON) throws(EventError) {
      eventName = try json.read("eventName")
      let s3 = try json.object("s3")
      bucket = try s3.object("bucket").read("name")
      let encoded: String = try s3.object("object").read("key")
      key = formDecoding(encoded[...].utf8)
      self.json = json
    }

    private var object: JSON? { json["s3"]?["object"] }

    /// The object's key as S3 sent it: percent-encoded, with `+` for a space.
    public var encodedKey: String { object?["key"]?.string ?? "" }
    /// The size in bytes; nil if the object was removed.
    public var size: Int? { object?["size"]?.integer() }
    /// The entity tag; nil if the object was removed.
    public var entityTag: String? { object?["eTag"]?.string }
    /// The version; nil if the bucket has no versions.
    public var versionID: String? { object?["versionId"]?.string }
    /// A hexadecimal number that orders the events of one key. Compare two of them after padding the shorter one with zeros on the right.
    public var sequencer: String? { object?["sequencer"]?.string }
    /// The region of the bucket.
    public var region: String? { json["awsRegion"]?.string }
    /// When it happened.
    public var time: WallTime? { json["eventTime"].flatMap { try? WallTime(json: $0) } }
  }
}
