import WireFormats

/// How a streamed response ended.
enum StreamEnd: Sendable {
  case complete
  /// The runtime reported an error in the trailers. The document is nil if it sent none.
  case failed(type: String, document: [UInt8]?)
  /// The response exceeded the maximum size.
  case tooLong
  /// The runtime closed the connection before the end of the response.
  case cutShort
}

/// The error of a streamed response that ended before it was complete. The caller's connection is then closed.
struct StreamInterruption: Error {
  /// The error document, with `errorType` and `errorMessage`.
  let document: [UInt8]
}

/// The trailers in which a runtime reports the error of a streamed response (Lambda developer guide, "Using the Lambda runtime API
/// for custom runtimes", response streaming).
enum StreamTrailers {
  static let errorType: HeaderName = "Lambda-Runtime-Function-Error-Type"
  /// The error document in Base64.
  static let errorBody: HeaderName = "Lambda-Runtime-Function-Error-Body"

  /// Returns how a stream with these trailers ended.
  static func end(_ trailers: [HeaderField]) -> StreamEnd {
    guard let type = value(of: errorType, in: trailers) else { return .complete }
    let document = value(of: errorBody, in: trailers).flatMap { base64Decoding($0) }
    return .failed(type: keptErrorType(type), document: document)
  }

  /// Returns the trailers for the caller: those of the runtime, and the header field that marks every failure.
  static func forCaller(type: String, document: [UInt8]?) -> [HeaderField] {
    let body = document.map { HeaderField(errorBody, base64($0)) }
    return [HeaderField("X-Amz-Function-Error", "Unhandled"), HeaderField(errorType, type)]
      + (body.map { [$0] } ?? [])
  }

  /// Returns the error document in a caller's trailers. If it is missing or empty, the result contains only the error's type.
  static func errorDocument(in trailers: [HeaderField]) -> [UInt8] {
    let document = value(of: errorBody, in: trailers).flatMap { base64Decoding($0) } ?? []
    return document.isEmpty
      ? jsonObject(["errorType": value(of: errorType, in: trailers) ?? "Runtime.Unknown"]) : document
  }

  private static func value(of name: HeaderName, in trailers: [HeaderField]) -> String? {
    trailers.first { $0.name == name }?.value
  }
}
