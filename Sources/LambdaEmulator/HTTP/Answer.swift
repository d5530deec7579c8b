package import WireFormats

/// An HTTP response to be sent.
package struct Answer: Sendable {
  package enum Body: Sendable {
    case bytes([UInt8])
    /// Sent in chunks as they come; the stream's end is the body's end, its failure breaks the connection off.
    case stream(AsyncThrowingStream<Piece, any Error>)
  }

  /// A part of a body that is sent as it comes.
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

  /// An answer whose body is a JSON object of text members.
  package init(status: Int, headers: [HeaderField] = [], object: KeyValuePairs<String, String>) {
    self.init(
      status: status, headers: [HeaderField(.contentType, "application/json")] + headers,
      body: .bytes(jsonObject(object)))
  }
}

/// A compact JSON object of text members.
func jsonObject(_ members: KeyValuePairs<String, String>) -> [UInt8] {
  var document = JSONWriter()
  document.beginMap(count: members.count)
  for (name, value) in members { document.member(name, value) }
  document.endMap()
  return document.bytes
}
