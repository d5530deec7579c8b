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
  public mutating func shutDown() {}
  public mutating func prepareForSnapshot() throws {}
  public mutating func resumeFromSnapshot() throws {}
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
  private let decoder: JSONDecoder
  private let encoder: JSONEncoder

  /// Creates a handler for `function`. Pass your own decoder and encoder to choose how dates and keys are represented.
  public init(
    _ function: consuming Function, decoder: JSONDecoder = JSONDecoder(), encoder: JSONEncoder = JSONEncoder()
  ) {
    self.function = function
    self.decoder = decoder
    self.encoder = encoder
  }

  public mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let input = try decoded(event)
    let output = try function.handle(input, context)
    do {
      return Response(json: Array(try encoder.encode(output)))
    } catch EncodingError.invalidValue(_, let context) {
      throw InvocationFailure(
        type: "Function.BadResponse",
        message:
          "Can't encode the response as JSON: \(located("has a value that JSON can't represent", at: context.codingPath))."
      )
    } catch {
      throw InvocationFailure(
        type: "Function.BadResponse", message: "Can't encode the response as JSON: \(error)")
    }
  }

  public mutating func shutDown() { function.shutDown() }
  public mutating func prepareForSnapshot() throws { try function.prepareForSnapshot() }
  public mutating func resumeFromSnapshot() throws { try function.resumeFromSnapshot() }

  private func decoded(_ event: Event) throws(InvocationFailure) -> Function.Input {
    do {
      return try decoder.decode(Function.Input.self, from: Data(event.bytes))
    } catch let error as DecodingError {
      throw InvocationFailure(
        type: "Function.BadEvent",
        message: "The event doesn't match the expected input: \(words(for: error)).")
    } catch {
      throw InvocationFailure(
        type: "Function.BadEvent", message: "The event doesn't match the expected input: \(error)")
    }
  }
}

/// Describes a decoding error and its location, such as "'age' is missing". Never includes values from the event: they are the
/// caller's data and must not end up in a log.
private func words(for error: DecodingError) -> String {
  let (context, problem): (DecodingError.Context, String) =
    switch error {
    case .typeMismatch(let type, let context): (context, "must be of type \(type)")
    case .valueNotFound(let type, let context): (context, "is null, but must be of type \(type)")
    case .keyNotFound(let key, let context):
      (DecodingError.Context(codingPath: context.codingPath + [key], debugDescription: ""), "is missing")
    case .dataCorrupted(let context):
      (context, context.codingPath.isEmpty ? "is not valid JSON" : "has an invalid value")
    @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), "can't be decoded")
    }
  return located(problem, at: context.codingPath)
}

private func located(_ problem: String, at path: [any CodingKey]) -> String {
  let path = path.map(\.stringValue).joined(separator: ".")
  return path.isEmpty ? "it \(problem)" : "'\(path)' \(problem)"
}
