public import FoundationEssentials
public import LambdaRuntime

/// What answers invocations with values instead of bytes: a `Decodable` in, an `Encodable` out, JSON on the wire.
///
/// Handed to Lambda inside a ``JSONHandler``:
///
/// ```swift
/// serveAndExit { startup in JSONHandler(Resize(startup.environment)) }
/// ```
public protocol TypedHandler: ~Copyable {
  associatedtype Input: Decodable
  associatedtype Output: Encodable

  /// Answers one invocation; errors are told to the caller as those of a `Handler` are.
  mutating func handle(_ input: Input, _ context: Context) throws -> Output

  /// Is called once, after the last invocation, when the process was asked to stop. Does nothing by default.
  mutating func shutDown()
  /// Is called once before Lambda SnapStart freezes the process. Does nothing by default.
  mutating func prepareForSnapshot() throws
  /// Is called in each copy of the process that Lambda SnapStart restores. Does nothing by default.
  mutating func resumeFromSnapshot() throws
}

extension TypedHandler where Self: ~Copyable {
  public mutating func shutDown() {}
  public mutating func prepareForSnapshot() throws {}
  public mutating func resumeFromSnapshot() throws {}
}

/// A handler that decodes the event, has a function answer it, and encodes what that returns.
///
/// An event that isn't what the function takes is answered with `Function.BadEvent`, and the place that is wrong. The core
/// of the runtime needs no Foundation; this part brings FoundationEssentials' JSON, and its size.
public struct JSONHandler<Function: TypedHandler & ~Copyable>: Handler, ~Copyable {
  private var function: Function
  private let decoder: JSONDecoder
  private let encoder: JSONEncoder

  /// A handler for `function`; a decoder and an encoder of one's own say how dates and keys are written.
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
        message: "the response can't be JSON: \(located("its value isn't accepted", at: context.codingPath))")
    } catch {
      throw InvocationFailure(type: "Function.BadResponse", message: "the response can't be JSON: \(error)")
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
        type: "Function.BadEvent", message: "the event is not what is taken: \(words(for: error))")
    } catch {
      throw InvocationFailure(type: "Function.BadEvent", message: "the event is not what is taken: \(error)")
    }
  }
}

/// What is wrong with an event, and where; never its values, which belong to the caller and not into a log.
private func words(for error: DecodingError) -> String {
  let (context, problem): (DecodingError.Context, String) =
    switch error {
    case .typeMismatch(let type, let context): (context, "it is no \(type)")
    case .valueNotFound(let type, let context): (context, "it is null, and should be a \(type)")
    case .keyNotFound(let key, let context):
      (DecodingError.Context(codingPath: context.codingPath + [key], debugDescription: ""), "it is missing")
    case .dataCorrupted(let context):
      (context, context.codingPath.isEmpty ? "it isn't JSON" : "its value isn't accepted")
    @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), "it can't be decoded")
    }
  return located(problem, at: context.codingPath)
}

private func located(_ problem: String, at path: [any CodingKey]) -> String {
  let path = path.map(\.stringValue).joined(separator: ".")
  return path.isEmpty ? problem : "'\(path)': \(problem)"
}
