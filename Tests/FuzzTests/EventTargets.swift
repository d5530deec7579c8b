@testable import LambdaEvents
import LambdaRuntime
@testable import WireFormats

/// Events of AWS services: any input is an event whose response is JSON, or has a bounded complaint.
///
/// The structure of the JSON must be the one that the reader of `WireFormats` finds, which rejects a few more inputs.
let lambdaEvents = FuzzTarget("lambda-events") { input in
  let json: JSON
  do throws(EventError) {
    json = try JSON(parsing: input)
  } catch {
    try require(error.path.isEmpty && error.problem.hasPrefix("isn't JSON"), "an odd complaint: \(error)")
    try require((try? JSONValue(parsing: input)) == nil, "one of two readers rejects it: \(error)")
    return
  }
  try compare(json, with: input)
  for (index, type) in eventTypes.enumerated() {
    // Only one of them parses the text again, because that takes longest.
    if let event = try index == input.count % eventTypes.count ? event(type, input) : event(type, json) {
      try answer(event)
    }
  }
}

private func event(_ type: any LambdaEvent.Type, _ input: [UInt8]) throws -> (any LambdaEvent)? {
  do throws(InvocationFailure) {
    return try type.init(Event(input))
  } catch {
    try require(error.type == "Function.BadEvent" && !error.message.isEmpty, "an odd failure")
    try require(error.message.utf8.count < 2_000, "a complaint of \(error.message.utf8.count) bytes")
    return nil
  }
}

private func event(_ type: any LambdaEvent.Type, _ json: JSON) throws -> (any LambdaEvent)? {
  do throws(EventError) {
    return try type.init(json: json)
  } catch {
    try require(!error.problem.isEmpty && "\(error)".utf8.count < 1_500, "an odd complaint")
    return nil
  }
}

private let eventTypes: [any LambdaEvent.Type] = [
  APIGatewayV2Request.self, APIGatewayV1Request.self, LoadBalancerRequest.self, SQSEvent.self,
  KinesisEvent.self,
  DynamoDBEvent.self, SNSEvent.self, S3Event.self, EventBridgeEvent.self, IoTRuleEvent.self,
  IoTPresenceEvent.self,
  CognitoPreSignUpEvent.self, CognitoPostConfirmationEvent.self, CognitoPreTokenGenerationEvent.self,
  CognitoCustomMessageEvent.self, S3BatchEvent.self,
]

private func compare(_ json: JSON, with input: [UInt8]) throws {
  _ = try JSON(parsing: Array(json.bytes))
  let value: JSONValue
  do throws(JSONError) {
    value = try JSONValue(parsing: input)
  } catch {
    try require(error.isStricterThanRFC, "one of two readers rejects it: \(error)")
    return
  }
  try require(tree(json) == value, "two readers find another structure")
}

private func tree(_ json: JSON) -> JSONValue {
  switch json.kind {
  case .null: .null
  case .boolean: .boolean(json.boolean ?? false)
  case .number: .number(json.digits ?? "")
  case .string: .string(json.string ?? "")
  case .array: .array((json.elements ?? []).map(tree))
  case .object: .object((json.members ?? []).map { .init(name: $0.name, value: tree($0.value)) })
  }
}

/// Sends the event back with what can be read from it, and checks that the response is JSON.
private func answer(_ event: any LambdaEvent) throws {
  let response: Response
  switch event {
  case let request as any HTTPRequestEvent:
    do throws(InvocationFailure) {
      response = try request.response(
        with: HTTPResponse(headers: request.headers, cookies: request.cookies, body: request.body))
    } catch {
      try require(error.type == "Function.BadResponse" && !error.message.isEmpty, "an odd failure")
      return
    }
    _ = request.queryItems
  case let batch as SQSEvent: response = try failing(batch)
  case let batch as KinesisEvent: response = try failing(batch)
  case let batch as DynamoDBEvent: response = try failing(batch)
  case let trigger as CognitoPreSignUpEvent: response = trigger.response(with: .init())
  case let trigger as CognitoPostConfirmationEvent: response = trigger.response(with: ())
  case let trigger as CognitoCustomMessageEvent: response = trigger.response(with: .init())
  case let trigger as CognitoPreTokenGenerationEvent: response = try trigger.response(with: .init())
  case let batch as S3BatchEvent:
    response = batch.response(with: .init(batch.tasks.map { .init($0, .succeeded, message: $0.key) }))
  default: return
  }
  _ = try JSON(parsing: response.body)
}

private func failing<Batch: BatchEvent>(_ batch: Batch) throws -> Response {
  try batch.response(
    with: batch.process { _ in
      throw Finding(what: "")
    } onFailure: { _, _ in
    })
}
