package import FoundationEssentials
package import LambdaRuntime

/// Converts events and responses from and to JSON.
package struct JSONCoding {
  private let decoder: JSONDecoder
  private let encoder: JSONEncoder

  package init(decoder: JSONDecoder, encoder: JSONEncoder) {
    self.decoder = decoder
    self.encoder = encoder
  }

  /// Decodes an event. Throws `Function.BadEvent` if it doesn't match `type`.
  package func decoded<Input: Decodable>(
    _ type: Input.Type, _ event: Event
  ) throws(InvocationFailure) -> Input {
    do {
      return try decoder.decode(type, from: Data(event.bytes))
    } catch let error as DecodingError {
      throw InvocationFailure(
        type: "Function.BadEvent",
        message: "The event doesn't match the expected input: \(words(for: error)).")
    } catch {
      throw InvocationFailure(
        type: "Function.BadEvent", message: "The event doesn't match the expected input: \(error)")
    }
  }

  /// Encodes a response. Throws `Function.BadResponse` if it can't be encoded.
  package func response(_ output: some Encodable) throws(InvocationFailure) -> Response {
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
