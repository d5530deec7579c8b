public import WireFormats

/// The body of a response, on its way to the caller while it is made.
///
/// Each write leaves at once, as one chunk, so a few large writes are cheaper than many small ones.
public struct ResponseStream: ~Copyable {
  private let sender: StreamSender

  init(_ sender: StreamSender) {
    self.sender = sender
  }

  /// Sends `bytes`; waits where the caller takes them slowly, at most as long as the invocation had left when the stream began.
  ///
  /// After an error the caller can't be reached any more, and every further write throws it again.
  public mutating func write(_ bytes: [UInt8]) throws {
    try sender.send(bytes)
  }
}

/// The status, the headers and the cookies of a streamed HTTP response (Lambda developer guide, "Response streaming for
/// function URLs").
public struct HTTPPrelude: Sendable {
  public var statusCode: Int
  public var headers: [HeaderField]
  /// Values of `Set-Cookie` headers.
  public var cookies: [String]

  public init(statusCode: Int = 200, headers: [HeaderField] = [], cookies: [String] = []) {
    self.statusCode = statusCode
    self.headers = headers
    self.cookies = cookies
  }

  /// The prelude as it goes before the body: a JSON object and eight NUL bytes.
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
