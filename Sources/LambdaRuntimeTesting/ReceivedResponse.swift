public import LambdaRuntime
import WireFormats

/// A response as the caller of the function receives it.
public struct ReceivedResponse: Sendable {
  /// The bytes of the response. If it is a streamed HTTP response, they begin after the ``prelude``.
  public let body: [UInt8]
  /// The MIME type of the response.
  public let contentType: String
  /// The status, headers and cookies of a streamed HTTP response; nil for other responses.
  public let prelude: HTTPPrelude?
  /// The error that ended a streamed response too early; nil if the response is complete.
  public let interruption: InvocationFailure?
  /// The errors of the closures that `Response.then(_:)` added, in their order; empty in a response from `collected()`, which doesn't call them.
  ///
  /// If the deadline passed before the last closure returned, the last error is `Sandbox.Timedout`.
  public internal(set) var workFailures: [InvocationFailure] = []

  /// The body as text. Invalid UTF-8 is replaced.
  public var text: String { String(decoding: body, as: UTF8.self) }

  init(_ body: [UInt8], contentType: String, interruption: InvocationFailure? = nil) {
    self.contentType = contentType
    self.interruption = interruption
    if contentType == httpStreamType, let (prelude, length) = readPrelude(body) {
      self.prelude = prelude
      self.body = Array(body.dropFirst(length))
    } else {
      prelude = nil
      self.body = body
    }
  }
}

/// The content type by which a function URL recognizes a prelude.
private let httpStreamType = "application/vnd.awslambda.http-integration-response"

/// Returns the prelude, and its length including the NUL bytes behind it; nil if the stream has none.
private func readPrelude(_ stream: [UInt8]) -> (HTTPPrelude, length: Int)? {
  guard let end = stream.firstIndex(of: 0), let document = try? JSONValue(parsing: Array(stream[..<end]))
  else {
    return nil
  }
  var prelude = HTTPPrelude(statusCode: document["statusCode"]?.double.flatMap { Int(exactly: $0) } ?? 200)
  for member in document["headers"]?.members ?? [] {
    prelude.headers.append(HeaderField(HeaderName(member.name), member.value.string ?? ""))
  }
  prelude.cookies = document["cookies"]?.array?.compactMap(\.string) ?? []
  return (prelude, min(end + 8, stream.count))
}
