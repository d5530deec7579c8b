public import FoundationEssentials
public import LambdaRuntime
// Exported, so that a function needs only one import.
@_exported public import LambdaRuntimeAsync
import LambdaRuntimeCodable

/// An asynchronous Lambda function that receives a `Decodable` value and returns an `Encodable` one. Events and responses are JSON.
///
/// Wrap it in an ``AsyncJSONHandler`` to serve it:
///
/// ```swift
/// serveAndExit { startup in AsyncJSONHandler(try await Resize(startup.environment)) }
/// ```
public protocol AsyncTypedHandler: ~Copyable {
  /// The type of the event.
  associatedtype Input: Decodable
  /// The type of the response.
  associatedtype Output: Encodable

  /// Handles one invocation and returns the response. Errors and cancellation are those of an `AsyncHandler`.
  mutating func handle(_ input: Input, _ context: Context) async throws -> Output

  /// Releases resources before the process exits, as `Handler.shutDown()` does. The default implementation does nothing.
  mutating func shutDown() async
  /// Prepares for a SnapStart snapshot, as `Handler.prepareForSnapshot()` does. The default implementation does nothing.
  mutating func prepareForSnapshot() async throws
  /// Resumes from a SnapStart snapshot, as `Handler.resumeFromSnapshot()` does. The default implementation does nothing.
  mutating func resumeFromSnapshot() async throws
}

extension AsyncTypedHandler where Self: ~Copyable {
  /// Does nothing, for handlers that hold nothing to release.
  public mutating func shutDown() async {}
  /// Does nothing, for handlers that hold nothing that a snapshot invalidates.
  public mutating func prepareForSnapshot() async throws {}
  /// Does nothing, for handlers that need no work in a restored copy.
  public mutating func resumeFromSnapshot() async throws {}
}

/// Explains how to serve an asynchronous typed function.
@available(
  *, unavailable,
  message:
    "Wrap the function in an AsyncJSONHandler: serveAndExit { startup in AsyncJSONHandler(MyFunction(startup)) }"
)
public func serveAndExit<Function: AsyncTypedHandler & ~Copyable>(
  in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions(),
  _ makeHandler: (Startup) async throws -> Function
) -> Never {
  // Never called: it doesn't compile.
  while true {}
}

/// A handler that decodes the event, passes it to an ``AsyncTypedHandler``, and encodes the result.
///
/// The errors are those of `JSONHandler`: `Function.BadEvent` with the faulty key, and `Function.BadResponse`.
public struct AsyncJSONHandler<Function: AsyncTypedHandler & ~Copyable>: AsyncHandler, ~Copyable {
  private var function: Function
  private let coding: JSONCoding

  /// Creates a handler for `function`. Pass your own decoder and encoder to choose how dates and keys are represented.
  public init(
    _ function: consuming Function, decoder: JSONDecoder = JSONDecoder(), encoder: JSONEncoder = JSONEncoder()
  ) {
    self.function = function
    coding = JSONCoding(decoder: decoder, encoder: encoder)
  }

  /// Decodes the event, passes it to the wrapped function, and encodes the result.
  ///
  /// Fails with `Function.BadEvent` or `Function.BadResponse` if the event or the result doesn't fit; passes on errors of the function.
  public mutating func handle(_ event: Event, _ context: Context) async throws -> Response {
    let input = try coding.decoded(Function.Input.self, event)
    return try coding.response(try await function.handle(input, context))
  }

  /// Calls `shutDown()` of the wrapped function.
  public mutating func shutDown() async { await function.shutDown() }
  /// Calls `prepareForSnapshot()` of the wrapped function.
  public mutating func prepareForSnapshot() async throws { try await function.prepareForSnapshot() }
  /// Calls `resumeFromSnapshot()` of the wrapped function.
  public mutating func resumeFromSnapshot() async throws { try await function.resumeFromSnapshot() }
}
