/// A Lambda function that receives the event of an AWS service and returns what that service expects.
///
/// ```swift
/// import LambdaEvents
///
/// struct Hello: EventHandler {
///   func handle(_ request: APIGatewayV2Request, _ context: Context) -> HTTPResponse {
///     HTTPResponse("Hello \(request.query("name") ?? "world")!\n")
///   }
/// }
///
/// serveAndExit { _ in Hello() }
/// ```
///
/// It is a `Handler`, so `Functions`, `shutDown()` and the methods for snapshots work as described there.
public protocol EventHandler: Handler, ~Copyable {
  /// The type of the event.
  associatedtype Input: LambdaEvent

  /// Handles one invocation and returns the answer. Errors are reported to the caller as those of a `Handler` are.
  mutating func handle(_ event: Input, _ context: Context) throws -> Input.Answer
}

extension EventHandler where Self: ~Copyable {
  /// Reads the event, passes it to the function, and returns its answer in the format of the service.
  ///
  /// If the event has another format, the invocation fails with `Function.BadEvent`.
  public mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let input = try Input(event)
    let answer: Input.Answer = try handle(input, context)
    return try input.response(with: answer)
  }
}
