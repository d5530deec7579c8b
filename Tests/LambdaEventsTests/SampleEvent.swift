import LambdaEvents
import TestSupport
import WireFormats

/// An event of `Tests/Fixtures/events`, its type, and the members without which it isn't accepted.
struct SampleEvent: Sendable, CustomStringConvertible {
  let file: String
  let type: any LambdaEvent.Type
  let required: [String]

  init(_ file: String, _ type: any LambdaEvent.Type, required: [String]) {
    self.file = file
    self.type = type
    self.required = required
  }

  var description: String { file }

  func bytes() throws -> [UInt8] { try fixture("events/\(file).json") }
  func text() throws -> String { String(decoding: try bytes(), as: UTF8.self) }

  static let all: [SampleEvent] = http + batches + notifications + cognito + s3Batch

  private static let http = [
    SampleEvent(
      "apigateway-v2", APIGatewayV2Request.self,
      required: ["requestContext", "requestContext.http", "requestContext.http.method", "rawPath"]),
    SampleEvent(
      "function-url", FunctionURLRequest.self,
      required: ["requestContext", "requestContext.http", "requestContext.http.method", "rawPath"]),
    SampleEvent("apigateway-v1", APIGatewayV1Request.self, required: ["httpMethod", "path"]),
    SampleEvent("load-balancer", LoadBalancerRequest.self, required: ["httpMethod", "path"]),
    SampleEvent("load-balancer-lists", LoadBalancerRequest.self, required: ["httpMethod", "path"]),
  ]
  private static let batches = [
    SampleEvent("sqs", SQSEvent.self, required: ["Records", "Records[].messageId", "Records[].body"]),
    SampleEvent("sqs-fifo", SQSEvent.self, required: ["Records", "Records[].messageId", "Records[].body"]),
    SampleEvent(
      "kinesis", KinesisEvent.self,
      required: ["Records", "Records[].kinesis"]
        + ["partitionKey", "sequenceNumber", "data"].map { "Records[].kinesis.\($0)" }),
    SampleEvent(
      "dynamodb", DynamoDBEvent.self,
      required: ["Records", "Records[].dynamodb"]
        + ["Keys", "SequenceNumber"].map { "Records[].dynamodb.\($0)" }),
  ]
  private static let notifications = [
    SampleEvent(
      "sns", SNSEvent.self,
      required: ["Records", "Records[].Sns"]
        + ["MessageId", "TopicArn", "Message"].map { "Records[].Sns.\($0)" }),
    SampleEvent(
      "s3", S3Event.self,
      required: [
        "Records", "Records[].eventName", "Records[].s3", "Records[].s3.bucket", "Records[].s3.bucket.name",
        "Records[].s3.object", "Records[].s3.object.key",
      ]),
    SampleEvent("eventbridge", EventBridgeEvent.self, required: bridge),
    SampleEvent("schedule-rule", EventBridgeEvent.self, required: bridge),
    SampleEvent("schedule", EventBridgeEvent.self, required: bridge),
    SampleEvent("iot-rule", IoTRuleEvent.self, required: []),
    SampleEvent("iot-presence", IoTPresenceEvent.self, required: ["clientId", "eventType"]),
  ]
  private static let bridge = ["id", "detail-type", "source", "time", "detail"]
  private static let cognito = [
    ("cognito-pre-sign-up", CognitoPreSignUpEvent.self as any LambdaEvent.Type),
    ("cognito-post-confirmation", CognitoPostConfirmationEvent.self),
    ("cognito-token-1", CognitoPreTokenGenerationEvent.self),
    ("cognito-token-2", CognitoPreTokenGenerationEvent.self),
    ("cognito-custom-message", CognitoCustomMessageEvent.self),
  ].map { SampleEvent($0, $1, required: ["triggerSource", "userPoolId"]) }
  private static let s3Batch = ["s3-batch", "s3-batch-2"].map {
    SampleEvent(
      $0, S3BatchEvent.self,
      required: ["invocationSchemaVersion", "invocationId", "tasks", "tasks[].taskId", "tasks[].s3Key"])
  }
}

/// Returns the event in a file of `Tests/Fixtures/events`.
func sample<Sample: LambdaEvent>(_ file: String, as type: Sample.Type = Sample.self) throws -> Sample {
  try Sample(Event(try fixture("events/\(file).json")))
}

/// Returns the response's body as JSON.
func document(_ response: Response) throws -> JSONValue { try JSONValue(parsing: response.body) }

func text(_ response: Response) -> String { String(decoding: response.body, as: UTF8.self) }
