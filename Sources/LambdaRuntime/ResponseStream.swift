public import WireFormats

/// Sends the body of a streamed response.
///
/// Each write is sent immediately as one chunk, so a few large writes are cheaper than many small ones.
public struct ResponseStream: ~Copyable {
  private let sender: StreamSender

  init(_ sender: StreamSender) {
    self.sender = sender
  }

  /// Sends `bytes` as one chunk. If `bytes` is empty, sends nothing.
  ///
  /// Blocks while the caller reads slowly, for at most the time that the invocation had left when the stream began.
  ///
  /// An error means that the stream is broken: every further call throws the same error.
  public mutating func write(_ bytes: [UInt8]) throws {
    try sender.send(bytes)
  }
}

/// The status, headers and cookies of a streamed HTTP response (Lambda developer guide, "Response streaming for function URLs").
public struct HTTPPrelude: Sendable {
  /// The HTTP status code, such as 200.
  public var statusCode: Int
  /// The response's headers, except `Set-Cookie`.
  public var headers: [HeaderField]
  /// The values of the `Set-Cookie` headers, such as `theme=dark; Secure`.
  public var cookies: [String]

  /// Creates a prelude.
  public init(statusCode: Int = 200, headers: [HeaderField] = [], cookies: [String] = []) {
    self.statusCode = statusCode
    self.headers = headers
    self.cookies = cookies
  }

  /// The prelude as it is sent before the body: a JSON object followed by eight NUL bytes.
  var bytes: [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 3)
    document.member("statusCode", UInt64(clamping: statusCode))
    document.key("headers")
    document.beginMap(count: headers.count)
    for header in headers { document.member(header.name.text, header.value) }
    document.endMap()
    document.key("cookies")
    document.beginList(count: cookies.count)
    for cookie in cookies { document.string(cookie) }
    document.endList()
    document.endMap()
    return document.bytes + [UInt8](repeating: 0, count: 8)
  }
}
