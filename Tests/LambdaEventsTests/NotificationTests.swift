import LambdaEvents
import Testing
import WireFormats

@Suite struct `A notification` {
  private let time = WallTime(millisecondsSinceEpoch: 1_794_738_030_456)

  @Test func `of SNS`() throws {
    let event: SNSEvent = try sample("sns")
    let notification = try #require(event.records.first)
    #expect(notification.message == "A device is silent.\nLook at it." && notification.subject == nil)
    #expect(notification.topicARN == "arn:aws:sns:eu-west-1:111122223333:alarms" && notification.time == time)
    #expect(notification.attribute("severity") == "high" && notification.attribute("none") == nil)
    #expect(notification.subscriptionARN?.hasPrefix(notification.topicARN) == true)
    #expect(text(event.response(with: ())) == "null")
  }

  @Test func `of S3, with decoded keys`() throws {
    let event: S3Event = try sample("s3")
    let (created, removed) = (event.records[0], event.records[1])
    #expect(created.eventName == "ObjectCreated:Put" && created.bucket == "amzn-s3-demo-bucket")
    #expect(created.key == "holiday pictures/straße 100%.jpg")
    #expect(created.encodedKey == "holiday+pictures/stra%C3%9Fe+100%25.jpg")
    #expect(created.size == 5_368_709_121 && created.time == time && created.region == "eu-west-1")
    #expect(created.versionID == "exampleVersion1" && created.sequencer == "0055AED6DCD90281E5")
    #expect(created.entityTag == "00112233445566778899aabbccddeeff")
    #expect(removed.key == "old.txt" && removed.size == nil && removed.versionID == nil)
  }

  @Test func `of S3 inside a message of SQS`() throws {
    let inner = String(
      decoding: JSONLiteral.string(try SampleEvent("s3", S3Event.self, required: []).text()).bytes,
      as: UTF8.self)
    let batch = try SQSEvent(#"{"Records":[{"messageId":"1","body":\#(inner)}]}"#)
    #expect(try S3Event(batch.records[0].body).records.count == 2)
  }

  @Test func `of EventBridge`() throws {
    let event: EventBridgeEvent = try sample("eventbridge")
    #expect(event.detailType == "EC2 Instance State-change Notification" && event.source == "aws.ec2")
    #expect(event.detail["state"]?.string == "terminated" && !event.isScheduled)
    #expect(event.time == WallTime(millisecondsSinceEpoch: 1_794_738_030_000))
    #expect(event.resources == ["arn:aws:ec2:eu-west-1:111122223333:instance/i-0fedcba9876543210"])
    #expect(event.accountID == "111122223333" && event.region == "eu-west-1")
  }

  @Test(arguments: [("schedule-rule", "{}"), ("schedule", "\"{}\"")])
  func `of a schedule`(file: String, detail: String) throws {
    let event: EventBridgeEvent = try sample(file)
    #expect(event.isScheduled && event.detail.description == detail && event.resources.count == 1)
  }

  @Test func `of a rule of AWS IoT keeps all digits`() throws {
    let event: IoTRuleEvent = try sample("iot-rule")
    #expect(event["temperature"]?.double == 21.5 && event.topic == "devices/lamp-7/data")
    #expect(event["serial"]?.digits == "123456789012345678901234567890" && event.clientID == "lamp-7")
    #expect(event.time == WallTime(millisecondsSinceEpoch: 1_794_824_430_123))
    #expect(try event.payload("raw") == [0, 255])
    #expect(throws: EventError(path: "none", problem: "is missing, but must be a string of Base64")) {
      try event.payload("none")
    }
    #expect(try IoTRuleEvent("21.50").json.digits == "21.50")
  }

  @Test func `of a client's presence`() throws {
    let event: IoTPresenceEvent = try sample("iot-presence")
    #expect(event.clientID == "lamp-7" && !event.isConnected && event.versionNumber == 17)
    #expect(event.disconnectReason == "MQTT_KEEP_ALIVE_TIMEOUT" && event.address == nil)
    #expect(event.time == WallTime(millisecondsSinceEpoch: 1_794_824_430_123))
    #expect(event.sessionID?.hasSuffix("0001") == true && event.principalID?.count == 64)
    let failure = #expect(throws: InvocationFailure.self) {
      try IoTPresenceEvent(#"{"clientId":"a","eventType":"subscribed"}"#)
    }
    #expect(failure?.message.hasSuffix("'eventType' must be 'connected' or 'disconnected'.") == true)
  }

  @Test func `of S3 Batch Operations is answered with the outcome of each task`() throws {
    let event: S3BatchEvent = try sample("s3-batch-2")
    let task = event.tasks[0]
    #expect(task.bucket == "amzn-s3-demo-bucket1" && task.key == "path/to/b.jpg" && task.versionID == "v1")
    #expect(event.userArguments == ["size": "small"] && event.jobID?.isEmpty == false)
    let answer = S3BatchEvent.Answer([.init(task, .temporaryFailure, message: "busy")])
    #expect(
      text(event.response(with: answer))
        == #"{"invocationSchemaVersion":"2.0","treatMissingKeysAs":"PermanentFailure","invocationId":"RXhhbXBsZQo","#
        + #""results":[{"taskId":"dGFzazI","resultCode":"TemporaryFailure","resultString":"busy"}]}"#)
    let first: S3BatchEvent = try sample("s3-batch")
    #expect(first.tasks[0].bucket == "amzn-s3-demo-bucket" && first.tasks[0].versionID == nil)
  }
}
