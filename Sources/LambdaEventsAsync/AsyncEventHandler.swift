// Exported, so that a function needs only one import.
@_exported public import LambdaEvents
@_exported public import LambdaRuntimeAsync

/// An asynchronous Lambda function that receives the event of an AWS service and returns what that service expects.
///
/// ```swift
/// import LambdaEventsAsync
///
/// struct Hello: AsyncEventHandler {
///   func handle(_ request: APIGatewayV2Request, _ context: Context) async throws -> HTTPResponse {
///     HTTPResponse("Hello \(try await name(of: request.query("user")))!\n")
///   }
/// }
///
/// serveAndExit { _ in Hello() }
/// ```
///
/// It is an `AsyncHandler`, so cancellation, `Functions`, `shutDown()` and the methods for snapshots work as described there.
public protocol AsyncEventHandler: AsyncHandler, ~Copyable {
  /// The type of the event.
  associatedtype Input: LambdaEvent

  /// Handles one invocation and returns the answer. Errors are reported to the caller as those of an `AsyncHandler` are.
  mutating func handle(_ event: Input, _ context: Context) async throws -> Input.Answer
}

extension AsyncEventHandler where Self: ~Copyable {
  /// Reads the event, passes it to the function, and returns its answer in the format of the service.
  ///
  /// If the event has another format, the invocation fails with `Function.BadEvent`.
  public mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
    let input = try Input(event)
    let answer: Input.Answer = try await handle(input, context)
    return try input.response(with: answer)
  }
}

extension BatchEvent {
  /// Passes each record to the asynchronous `process`, one after another. Otherwise the same as the synchronous one.
  ///
  /// Once the task is cancelled, for example because the deadline is near, no further record is processed. Lambda delivers those records again,
  /// too, but `onFailure` doesn't receive them.
  ///
  /// ```swift
  /// func handle(_ event: SQSEvent, _ context: Context) async -> BatchResponse {
  ///   await event.process { message in
  ///     try await store(message.body)
  ///   } onFailure: { message, error in
  ///     context.log.error("Can't store the message \(message.messageID): \(error).")
  ///   }
  /// }
  /// ```
  nonisolated(nonsending) public func process(
    _ process: (Record) async throws -> Void, onFailure: (Record, any Error) async -> Void
  ) async -> BatchResponse {
    var answer = BatchResponse()
    for (index, record) in records.enumerated() {
      if !Task.isCancelled {
        do {
          try await process(record)
          continue
        } catch {
          await onFailure(record, error)
        }
      }
      guard mayContinue(after: index, &answer) else { break }
    }
    return answer
  }
}
