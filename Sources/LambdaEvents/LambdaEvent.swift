@_exported public import LambdaRuntime

/// An event in the format of the AWS service that sends it.
///
/// Each type stores the members that a function needs, and has all others in ``json``. A stored property is checked: if it isn't
/// optional, AWS always sends it, and an event without it is rejected. A computed property is nil if AWS didn't send it, or sent it as
/// another type.
///
/// To receive an event, write an ``EventHandler``, or create the event in any other handler: `try SQSEvent(event)`.
public protocol LambdaEvent: JSONReadable, Sendable {
  /// What the service expects in return: for example ``HTTPResponse``, or `Void` if it ignores the response.
  associatedtype Answer

  /// The event for error messages, with its article, such as `a batch of Amazon SQS`.
  static var eventName: String { get }
  /// The event exactly as received.
  var json: JSON { get }

  /// Returns the response with `answer`, in the format that the service expects.
  func response(with answer: Answer) throws(InvocationFailure) -> Response
}

extension LambdaEvent {
  /// Reads the event of an invocation.
  ///
  /// Fails with `Function.BadEvent` and a message that names the mistake, its place, and what the event looks like
  /// instead.
  public init(_ event: Event) throws(InvocationFailure) {
    try self.init(bytes: event.bytes)
  }

  /// Reads an event from its JSON text, for example in a test.
  public init(_ text: String) throws(InvocationFailure) {
    try self.init(bytes: Array(text.utf8))
  }

  private init(bytes: [UInt8]) throws(InvocationFailure) {
    let json: JSON
    do throws(EventError) {
      json = try JSON(parsing: bytes)
    } catch {
      throw InvocationFailure(
        type: "Function.BadEvent", message: "The event isn't \(Self.eventName): \(error).")
    }
    do throws(EventError) {
      try self.init(json: json)
    } catch {
      let apparent = apparentEventName(json).map { $0 == Self.eventName ? "" : " It looks like \($0)." } ?? ""
      throw InvocationFailure(
        type: "Function.BadEvent", message: "The event isn't \(Self.eventName): \(error).\(apparent)")
    }
  }
}

extension LambdaEvent where Answer == Void {
  /// Returns the response `null`, because the service ignores it.
  public func response(with answer: Void) -> Response { Response(json: Array("null".utf8)) }
}

extension LambdaEvent where Answer == JSONLiteral {
  /// Returns the JSON text of `answer`.
  public func response(with answer: JSONLiteral) -> Response { Response(json: answer.bytes) }
}

/// Returns the name of the event that `json` looks like; nil if it looks like none.
func apparentEventName(_ json: JSON) -> String? {
  if let record = json["Records"]?[0] {
    return switch record["eventSource"]?.string ?? record["EventSource"]?.string {
    case "aws:sqs": SQSEvent.eventName
    case "aws:kinesis": KinesisEvent.eventName
    case "aws:dynamodb": DynamoDBEvent.eventName
    case "aws:sns": SNSEvent.eventName
    case "aws:s3": S3Event.eventName
    default: nil
    }
  }
  if json["requestContext"]?["elb"] != nil { return LoadBalancerRequest.eventName }
  if json["requestContext"]?["http"] != nil { return APIGatewayV2Request.eventName }
  if json["requestContext"] != nil, json["httpMethod"] != nil { return APIGatewayV1Request.eventName }
  if json["detail-type"] != nil { return EventBridgeEvent.eventName }
  if let source = json["triggerSource"]?.string { return cognitoEventName(source) }
  if json["invocationSchemaVersion"] != nil { return S3BatchEvent.eventName }
  return nil
}
