import LambdaEvents
import LambdaRuntime
import Testing

@Suite struct `An event handler` {
  struct Hello: EventHandler {
    func handle(_ request: APIGatewayV2Request, _ context: Context) -> HTTPResponse {
      HTTPResponse("Hello \(request.query("name") ?? "world")!")
    }
  }

  /// A handler with state, which can't be copied.
  struct Worker: EventHandler, ~Copyable {
    var count = 0

    mutating func handle(_ event: SQSEvent, _ context: Context) throws -> BatchResponse {
      count += 1
      guard count > 1 else { throw InvocationFailure(type: "Function.TooEarly", message: "\(count)") }
      return event.process { message in
        if message.body.isEmpty { throw EventError(path: "body", problem: "is empty") }
      } onFailure: { _, _ in
      }
    }
  }

  struct Listener: EventHandler {
    func handle(_ event: SNSEvent, _ context: Context) {}
  }

  struct Registration: EventHandler {
    func handle(_ event: CognitoPreSignUpEvent, _ context: Context) -> CognitoPreSignUpEvent.Answer {
      .init(confirmsUser: event.userAttributes["email"]?.hasSuffix("@example.com") == true)
    }
  }

  /// An event that no AWS service sends.
  struct Order: LambdaEvent {
    typealias Answer = JSONLiteral
    static let eventName = "an order"

    let json: JSON
    let count: Int

    init(json: JSON) throws(EventError) {
      count = try json.read("count")
      self.json = json
    }
  }

  struct Checkout: EventHandler {
    func handle(_ order: Order, _ context: Context) -> JSONLiteral { ["total": .integer(order.count * 7)] }
  }

  @Test func `receives an event of the function's own`() throws {
    var checkout = Checkout()
    let context = try Context(requestID: "id", deadline: WallTime(millisecondsSinceEpoch: .max))
    #expect(text(try checkout.handle(Event(Array(#"{"count":6}"#.utf8)), context)) == #"{"total":42}"#)
    #expect(
      throws: InvocationFailure(
        type: "Function.BadEvent",
        message: "The event isn't an order: 'count' is missing, but must be an integer.")
    ) {
      try checkout.handle(Event(Array("{}".utf8)), context)
    }
  }

  private func respond<Function: Handler & ~Copyable>(_ function: inout Function, _ file: String) throws
    -> String
  {
    let event = Event(try SampleEvent(file, IoTRuleEvent.self, required: []).bytes())
    let context = try Context(requestID: "id", deadline: WallTime(millisecondsSinceEpoch: .max))
    let response = try function.handle(event, context)
    #expect(response.contentType == "application/json")
    return text(response)
  }

  @Test func `answers in the format of the service`() throws {
    var hello = Hello()
    #expect(
      try respond(&hello, "function-url")
        == #"{"statusCode":200,"headers":{"Content-Type":"text/plain; charset=utf-8"},"body":"Hello world!","isBase64Encoded":false}"#
    )
    var listener = Listener()
    #expect(try respond(&listener, "sns") == "null")
    var registration = Registration()
    #expect(try respond(&registration, "cognito-pre-sign-up").contains(#""autoConfirmUser":true"#))
  }

  @Test func `keeps its state, and passes its errors through`() throws {
    var worker = Worker()
    #expect(throws: InvocationFailure(type: "Function.TooEarly", message: "1")) {
      try respond(&worker, "sqs")
    }
    #expect(
      try respond(&worker, "sqs").contains(#"[{"itemIdentifier":"11111111-87a3-44ab-83d2-000000000003"}]"#))
  }

  @Test func `reports an event of another service`() throws {
    var hello = Hello()
    let failure = #expect(throws: InvocationFailure.self) { try respond(&hello, "sqs") }
    #expect(failure?.type == "Function.BadEvent")
    #expect(
      failure?.message
        == "The event isn't an HTTP request of API Gateway (format 2.0) or of a function URL: "
        + "'requestContext' is missing, but must be an object. It looks like a batch of Amazon SQS.")
  }
}
