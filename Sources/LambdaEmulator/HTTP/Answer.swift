package import WireFormats

/// An HTTP response to send.
package struct Answer: Sendable {
  package enum Body: Sendable {
    case bytes([UInt8])
    /// Each piece is sent immediately, as one chunk. If the stream throws, the connection is closed before the body ends.
    case stream(AsyncThrowingStream<Piece, any Error>)
  }

  /// A part of a streamed body.
  package enum Piece: Sendable {
    case bytes([UInt8])
    /// Sent after the body (RFC 9112, section 7.1.2).
    case trailers([HeaderField])
  }

  package var status: Int
  package var headers: [HeaderField]
  package var body: Body

  package init(status: Int, headers: [HeaderField] = [], body: Body = .bytes([])) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// Creates a response whose body is a JSON object with string members.
  package init(status: Int, headers: [HeaderField] = [], object: KeyValuePairs<String, String>) {
    self.init(
      status: status, headers: [HeaderField(.contentType, "application/json")] + headers,
      body: .bytes(jsonObject(object)))
  }
}

/// Returns a compact JSON object with string members.
func jsonObject(_ members: KeyValuePairs<String, String>) -> [UInt8] {
  var document = JSONWriter()
  document.beginMap(count: members.count)
  for (name, value) in members { document.member(name, value) }
  document.endMap()
  return document.bytes
}
