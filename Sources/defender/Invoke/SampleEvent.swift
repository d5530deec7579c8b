/// An event of an AWS service, to try a function with. Its data is made up.
struct SampleEvent: Sendable {
  let name: String
  let summary: String
  let bytes: [UInt8]

  private init(_ name: String, _ summary: String, _ bytes: [UInt8]) {
    self.name = name
    self.summary = summary
    self.bytes = bytes
  }

  /// The events, from the files in `SampleEvents`, which the tests of `LambdaEvents` read, too.
  static let all: [SampleEvent] = http + batches + notifications + cognito

  private static let http = [
    SampleEvent(
      "apigw-v1", "API Gateway, REST API or payload format 1.0", PackageResources.apigateway_v1_json),
    SampleEvent(
      "apigw-v2", "API Gateway, HTTP API with payload format 2.0", PackageResources.apigateway_v2_json),
    SampleEvent("function-url", "a function URL, with a body in Base64", PackageResources.function_url_json),
    SampleEvent("alb", "an Application Load Balancer", PackageResources.load_balancer_json),
    SampleEvent(
      "alb-multi-value", "an Application Load Balancer with multi-value headers",
      PackageResources.load_balancer_lists_json),
  ]
  private static let batches = [
    SampleEvent("sqs", "messages of an SQS queue", PackageResources.sqs_json),
    SampleEvent("sqs-fifo", "messages of an SQS FIFO queue", PackageResources.sqs_fifo_json),
    SampleEvent("kinesis", "records of a Kinesis stream", PackageResources.kinesis_json),
    SampleEvent("dynamodb", "changes of a DynamoDB table", PackageResources.dynamodb_json),
    SampleEvent("s3-batch", "a task of S3 Batch Operations", PackageResources.s3_batch_json),
    SampleEvent(
      "s3-batch-v2", "a task of S3 Batch Operations, schema version 2.0", PackageResources.s3_batch_2_json),
  ]
  private static let notifications = [
    SampleEvent("s3", "a new object in an S3 bucket", PackageResources.s3_json),
    SampleEvent("sns", "a message of an SNS topic", PackageResources.sns_json),
    SampleEvent("eventbridge", "an event of EventBridge", PackageResources.eventbridge_json),
    SampleEvent("schedule", "a schedule of EventBridge Scheduler", PackageResources.schedule_json),
    SampleEvent("schedule-rule", "a scheduled rule of EventBridge", PackageResources.schedule_rule_json),
    SampleEvent("iot-rule", "a message that an AWS IoT rule selected", PackageResources.iot_rule_json),
    SampleEvent("iot-presence", "a device that connected to AWS IoT", PackageResources.iot_presence_json),
  ]
  private static let cognito = [
    SampleEvent(
      "cognito-pre-sign-up", "a Cognito trigger: pre sign-up", PackageResources.cognito_pre_sign_up_json),
    SampleEvent(
      "cognito-post-confirmation", "a Cognito trigger: post confirmation",
      PackageResources.cognito_post_confirmation_json),
    SampleEvent(
      "cognito-token", "a Cognito trigger: pre token generation, version 1",
      PackageResources.cognito_token_1_json),
    SampleEvent(
      "cognito-token-v2", "a Cognito trigger: pre token generation, version 2",
      PackageResources.cognito_token_2_json),
    SampleEvent(
      "cognito-custom-message", "a Cognito trigger: custom message",
      PackageResources.cognito_custom_message_json),
  ]

  /// A table of the names and what the events are.
  static var list: String {
    let width = all.map(\.name.count).max() ?? 0
    return all.map { event in
      let padding = String(repeating: " ", count: width - event.name.count)
      return "\(event.name)\(padding)  \(event.summary)"
    }.joined(separator: "\n")
  }
}
