import WireFormats

@testable import LambdaEmulator

/// A function's response to a request at its function URL: whole, and as a stream that arrives in pieces.
///
/// Whatever the function returns, the emulator sends a valid HTTP response, or has a bounded reason for answering with 502.
let functionURLResponses = FuzzTarget("function-url-responses") { input in
  do {
    let answer = try FunctionURLResponse.answer(to: input)
    try checkHead(answer.status, answer.headers)
    guard case .bytes(let body) = answer.body else { throw Finding(what: "a stream") }
    try checkBody(body, input)
  } catch let error as UnusableResponse {
    try checkReason(error)
  }
  let whole = try streamed([Array(input.dropFirst())])
  let inPieces = try streamed(pieces(of: input).map(Array.init))
  try require(whole == inPieces, "cut into pieces, the stream is another")
}

private func checkHead(_ status: Int, _ headers: [HeaderField]) throws {
  try require((200...599).contains(status), "a status that doesn't end the exchange")
  try require(headers.allSatisfy { $0.problem == nil }, "a header that HTTP doesn't allow")
  try require(headers.contains { $0.name == .contentType }, "no content type")
  try require(!headers.contains { $0.name == .contentLength }, "a header that the server sends itself")
}

/// The body must be the one that the general parser finds, or the response itself if that has no status.
private func checkBody(_ body: [UInt8], _ response: [UInt8]) throws {
  let document = try JSONValue(parsing: response)
  guard let status = document["statusCode"], status != .null else {
    return try require(body == response, "JSON without a status is another body")
  }
  let text = document["body"]?.string ?? ""
  let isBase64 = document["isBase64Encoded"]?.boolean == true
  try require(body == (isBase64 ? base64Decoding(text) : Array(text.utf8)), "the body is another")
}

private func checkReason(_ error: UnusableResponse) throws {
  try require(!error.reason.isEmpty && error.reason.utf8.count < 1_000, "an odd complaint")
}

/// What a client receives of a stream.
private enum Received: Equatable {
  case response(FunctionURLResponseHead, body: [UInt8])
  case unusable(UnusableResponse)
}

private func streamed(_ pieces: [[UInt8]]) throws -> Received {
  var prelude = StreamPrelude()
  var head: FunctionURLResponseHead?
  var body: [UInt8] = []
  do throws(UnusableResponse) {
    for piece in pieces {
      if head != nil {
        body += piece
      } else if let begun = try prelude.append(piece) {
        head = begun.head
        body = begun.rest
      }
    }
  } catch {
    try checkReason(error)
    return .unusable(error)
  }
  guard let head else {
    try checkReason(prelude.endError)
    return .unusable(prelude.endError)
  }
  try checkHead(head.status, head.headers)
  return .response(head, body: body)
}
