import LambdaEvents
import Testing

@Suite struct `A batch` {
  private struct Refused: Error {}

  /// Returns which records are processed and which are reported as failed, if the records at `failing` fail.
  private func processed<Batch: BatchEvent>(_ batch: Batch, failing: Set<Int>) -> (
    seen: Int, failed: [String]
  ) {
    var seen = 0
    var reported = 0
    let answer = batch.process { _ in
      seen += 1
      if failing.contains(seen - 1) { throw Refused() }
    } onFailure: { _, error in
      reported += error is Refused ? 1 : 0
    }
    #expect(reported == (batch.redelivery == .failedRecords ? failing.count : min(1, failing.count)))
    return (seen, answer.failedItems)
  }

  @Test func `of a standard queue reports each failed message`() throws {
    let batch: SQSEvent = try sample("sqs")
    let ids = batch.records.map(\.messageID)
    #expect(processed(batch, failing: []) == (3, []))
    #expect(processed(batch, failing: [0, 2]) == (3, [ids[0], ids[2]]))
  }

  @Test func `of a FIFO queue reports everything from the first failure on`() throws {
    let batch: SQSEvent = try sample("sqs-fifo")
    let ids = batch.records.map(\.messageID)
    #expect(processed(batch, failing: [1]) == (2, [ids[1], ids[2]]))
    #expect(batch.records.first?.attributes["MessageGroupId"] == "customer-1")
  }

  @Test func `of a stream reports the first failure`() throws {
    let kinesis: KinesisEvent = try sample("kinesis")
    #expect(processed(kinesis, failing: [1]) == (2, [kinesis.records[1].sequenceNumber]))
    let changes: DynamoDBEvent = try sample("dynamodb")
    #expect(processed(changes, failing: [0]) == (1, [changes.records[0].sequenceNumber]))
  }

  @Test func `is answered in Lambda's format`() throws {
    let batch: SQSEvent = try sample("sqs")
    #expect(text(batch.response(with: BatchResponse())) == #"{"batchItemFailures":[]}"#)
    #expect(
      text(batch.response(with: BatchResponse(failedItems: ["a", "b\""])))
        == #"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b\""}]}"#)
  }

  @Test func `of SQS has messages`() throws {
    let message = try #require(try sample("sqs", as: SQSEvent.self).records.dropFirst().first)
    #expect(message.body == "{\"order\":\"ü \u{2028} 😀\"}")
    #expect(
      message.receiveCount == 2 && message.sentTime == WallTime(millisecondsSinceEpoch: 1_794_824_430_123))
    #expect(message.attribute("priority") == "7" && message.attribute("none") == nil)
    #expect(
      try message.binaryAttribute("digest") == [1, 2, 255] && message.binaryAttribute("priority") == nil)
    #expect(message.queueARN == "arn:aws:sqs:eu-west-1:111122223333:orders")
    #expect(message.receiptHandle == "AQEBexampleHandle2==")
  }

  @Test func `of Kinesis has decoded records`() throws {
    let batch: KinesisEvent = try sample("kinesis")
    #expect(batch.records.map(\.data) == [Array(#"{"temperature":21}"#.utf8), [0, 255], Array("x".utf8)])
    let record = batch.records[0]
    #expect(record.partitionKey == "device-1" && record.shardID == "shardId-000000000006")
    #expect(record.arrivalTime == WallTime(millisecondsSinceEpoch: 1_794_824_430_987))
    #expect(record.streamARN == "arn:aws:kinesis:eu-west-1:111122223333:stream/orders")
  }

  @Test func `of DynamoDB has typed attributes`() throws {
    let batch: DynamoDBEvent = try sample("dynamodb")
    #expect(batch.records.map(\.change) == [.insert, .modify, .remove])
    #expect(batch.records.map(\.isExpiry) == [false, false, true])
    let item = try #require(batch.records[0].newImage)
    #expect(item["id"]?.integer == 101 && item["big"]?.integer == nil)
    #expect(item["big"]?.digits == "12345678901234567890123456789012345678")
    #expect(item["blob"] == .binary([1, 255]) && item["flag"] == .boolean(true) && item["none"] == .null)
    #expect(item["tags"] == .stringSet(["a", "b"]) && item["sizes"] == .numberSet(["1", "2.5"]))
    #expect(item["blobs"] == .binarySet([[0x78]]) && item["map"]?["city"]?.string == "Kyiv")
    #expect(item["list"] == .list([.string("a"), .map(["deep": .list([])])]))
    #expect(batch.records[0].oldImage == nil && batch.records[1].oldImage?["text"]?.string == "alt")
    #expect(batch.records[0].time == WallTime(millisecondsSinceEpoch: 1_794_824_430_000))
    #expect(batch.records[2].keys == ["id": .number("101")] && batch.records[2].newImage == nil)
  }

  @Test(arguments: [
    ("{}", "must be an object with one member"), (#"{"S":"a","N":"1"}"#, "must be an object with one member"),
    (#"{"X":1}"#, "'X' is of an unknown type"), (#"{"N":1}"#, "'N' is a number, but must be a string"),
    (#"{"B":"%"}"#, "'B' isn't Base64"), (#"{"L":[{"M":{"a":{"S":1}}}]}"#, "'L[0].M.a.S' is a number"),
  ])
  func `names a malformed attribute`(value: String, problem: String) {
    let error = #expect(throws: EventError.self) {
      try AttributeValue(json: JSON(parsing: Array(value.utf8)))
    }
    #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
  }

  @Test func `names the record that is malformed`() {
    let failure = #expect(throws: InvocationFailure.self) {
      try SQSEvent(
        #"{"Records":[{"messageId":"1","body":"x"},{"messageId":"2","body":null,"eventSource":"aws:sqs"}]}"#)
    }
    #expect(
      failure
        == InvocationFailure(
          type: "Function.BadEvent",
          message: "The event isn't a batch of Amazon SQS: 'Records[1].body' is null, but must be a string."))
  }
}
