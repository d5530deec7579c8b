public import FoundationEssentials
public import LambdaRuntime

/// A Lambda function that receives a `Decodable` value and returns an `Encodable` one. Events and responses are JSON.
///
/// Wrap it in a ``JSONHandler`` to serve it:
///
/// ```swift
/// serveAndExit { startup in JSONHandler(Resize(startup.environment)) }
/// ```
public protocol TypedHandler: ~Copyable {
  /// The type of the event.
  associatedtype Input: Decodable
  /// The type of the response.
  associatedtype Output: Encodable

  /// Handles one invocation and returns the response. Errors are reported to the caller as those of a `Handler` are.
  mutating func handle(_ input: Input, _ context: Context) throws -> Output

  /// Releases resources before the process exits, as `Handler.shutDown()` does. The default implementation does nothing.
  mutating func shutDown()
  /// Prepares for a SnapStart snapshot, as `Handler.prepareForSnapshot()` does. The default implementation does nothing.
  mutating func prepareForSnapshot() throws
  /// Resumes from a SnapStart snapshot, as `Handler.resumeFromSnapshot()` does. The default implementation does nothing.
  mutating func resumeFromSnapshot() throws
}

extension TypedHandler where Self: ~Copyable {
  /// Does nothing, for handlers that hold nothing to release.
  public mutating func shutDown() {}
  /// Does nothing, for handlers that hold nothing that a snapshot invalidates.
  public mutating func prepareForSnapshot() throws {}
  /// Does nothing, for handlers that need no work in a restored copy.
  public mutating func resumeFromSnapshot() throws {}
}

/// Explains how to serve a typed function.
@available(
  *, unavailable,
  message: "Wrap the function in a JSONHandler: serveAndExit { startup in JSONHandler(MyFunction(startup)) }"
)
public func serveAndExit<Function: TypedHandler & ~Copyable>(
  in environment: Environment = .ofThisProcess, options: ServeOptions = ServeOptions(),
  _ makeHandler: (Startup) throws -> Function
) -> Never {
  // Never called: it doesn't compile.
  while true {}
}

/// A handler that decodes the event, passes it to a ``TypedHandler``, and encodes the result.
///
/// If the event can't be decoded, the invocation fails with `Function.BadEvent` and a message that names the faulty key, such as
/// "'user.age' is missing". If the result can't be encoded, it fails with `Function.BadResponse`.
///
/// `LambdaRuntime` itself links no Foundation. This module adds FoundationEssentials for its JSON coders, which makes the
/// executable larger.
public struct JSONHandler<Function: TypedHandler & ~Copyable>: Handler, ~Copyable {
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
  public mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let input = try coding.decoded(Function.Input.self, event)
    return try coding.response(try function.handle(input, context))
  }

  /// Calls `shutDown()` of the wrapped function.
  public mutating func shutDown() { function.shutDown() }
  /// Calls `prepareForSnapshot()` of the wrapped function.
  public mutating func prepareForSnapshot() throws { try function.prepareForSnapshot() }
  /// Calls `resumeFromSnapshot()` of the wrapped function.
  public mutating func resumeFromSnapshot() throws { try function.resumeFromSnapshot() }
}
