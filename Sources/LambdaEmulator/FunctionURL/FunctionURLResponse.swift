import WireFormats

/// Why a function's response can't be sent as an HTTP response: a sentence that says what to do.
struct UnusableResponse: Error, Equatable {
  let reason: String
}

/// The status and the header fields in a function's response: payload format 2.0, or the prelude of a streamed response.
struct FunctionURLResponseHead: Equatable {
  let status: Int
  let headers: [HeaderField]

  /// The fields that the emulator's server determines itself, because they depend on the connection.
  private static let connectionFields: [HeaderName] = [
    "Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade",
  ]

  /// Reads `statusCode`, `headers` and `cookies`. A response without `Content-Type` is JSON.
  init(_ document: JSONValue, defaultContentType: String = "application/json") throws(UnusableResponse) {
    status = try Self.status(document["statusCode"])
    var headers: [HeaderField] = []
    if let object = document["headers"], object != .null {
      guard let members = object.members else { throw Self.wrong("headers", object, "an object of strings") }
      for member in members where member.value != .null {
        headers.append(try Self.field(member.name, member.value))
      }
    }
    if let list = document["cookies"], list != .null {
      guard let cookies = list.array else { throw Self.wrong("cookies", list, "an array of strings") }
      for cookie in cookies { headers.append(try Self.field("Set-Cookie", cookie)) }
    }
    headers.removeAll { Self.connectionFields.contains($0.name) }
    if !headers.contains(where: { $0.name == .contentType }) {
      headers.append(HeaderField(.contentType, defaultContentType))
    }
    self.headers = headers
  }

  private static func status(_ value: JSONValue?) throws(UnusableResponse) -> Int {
    guard let value, value != .null else { return 200 }
    guard let status: Int = value.integer() else { throw wrong("statusCode", value, "a number such as 200") }
    // A status below 200 isn't the end of an exchange.
    guard (200...599).contains(status) else {
      throw UnusableResponse(reason: "statusCode is \(status). Use a number from 200 to 599.")
    }
    return status
  }

  private static func field(_ name: String, _ value: JSONValue) throws(UnusableResponse) -> HeaderField {
    guard !name.isEmpty,
      name.utf8.allSatisfy({ isLetterOrDigit($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) })
    else {
      throw UnusableResponse(
        reason: "'\(excerpt(name))' isn't the name of a header. Use letters, digits and '-'.")
    }
    let text: String
    switch value {
    case .array, .object, .null: throw wrong("the header '\(excerpt(name))'", value, "a string")
    default: text = value.string ?? compact(value)
    }
    guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
      throw UnusableResponse(
        reason:
          "the value of the header '\(excerpt(name))' has a control character, which HTTP doesn't allow. Remove it."
      )
    }
    return HeaderField(HeaderName(name), text)
  }

  static func wrong(_ member: String, _ value: JSONValue, _ expected: String) -> UnusableResponse {
    UnusableResponse(
      reason: "\(member) is \(value.kind) (\(excerpt(compact(value)))). It must be \(expected).")
  }

  private static func compact(_ value: JSONValue) -> String {
    var document = JSONWriter()
    value.write(to: &document)
    return String(decoding: document.bytes, as: UTF8.self)
  }

  static func excerpt(_ text: String) -> String {
    String(String(decoding: text.utf8.prefix(240), as: UTF8.self).prefix(60))
  }
}

/// Interprets a function's complete response.
enum FunctionURLResponse {
  /// Returns the HTTP response for a function's response.
  ///
  /// JSON without `statusCode` is itself the body of a response with status 200.
  static func answer(to response: [UInt8]) throws(UnusableResponse) -> Answer {
    guard let document = try? JSONValue(parsing: response) else {
      throw UnusableResponse(
        reason:
          "it isn't JSON (\(response.count) bytes: \(FunctionURLResponseHead.excerpt(String(decoding: response.prefix(240), as: UTF8.self)))). Return an object with statusCode, headers and body, or other JSON."
      )
    }
    guard let status = document["statusCode"], status != .null else {
      return Answer(
        status: 200, headers: [HeaderField(.contentType, "application/json")], body: .bytes(response))
    }
    let head = try FunctionURLResponseHead(document)
    return Answer(status: head.status, headers: head.headers, body: .bytes(try body(document)))
  }

  private static func body(_ document: JSONValue) throws(UnusableResponse) -> [UInt8] {
    guard let body = document["body"], body != .null else { return [] }
    guard let text = body.string else {
      throw FunctionURLResponseHead.wrong("body", body, "a string; encode an object as JSON text")
    }
    guard document["isBase64Encoded"]?.boolean == true else { return Array(text.utf8) }
    guard let bytes = base64Decoding(text) else {
      throw UnusableResponse(
        reason: "isBase64Encoded is true, but body isn't Base64 (\(FunctionURLResponseHead.excerpt(text))).")
    }
    return bytes
  }
}

/// Finds the prelude at the beginning of a streamed response: JSON with `statusCode`, `headers` and `cookies`, then eight NUL bytes.
struct StreamPrelude {
  /// The content type of a stream with a prelude.
  static let contentType = "application/vnd.awslambda.http-integration-response"
  /// The number of NUL bytes after the JSON.
  private static let separatorLength = 8
  /// The maximum size of the JSON. More than any client accepts in header fields.
  private static let limit = 65_536

  private var bytes: [UInt8] = []

  /// Appends a piece of the stream. Returns the head and the beginning of the body once the prelude is complete, and nil before.
  mutating func append(
    _ piece: [UInt8]
  ) throws(UnusableResponse) -> (head: FunctionURLResponseHead, rest: [UInt8])? {
    let start = max(0, bytes.count - Self.separatorLength)
    bytes += piece
    // JSON has no NUL bytes. The part before `start` was searched already; a separator can begin after it.
    let end = bytes[start...].firstIndex(of: 0)
    guard end ?? bytes.count <= Self.limit else {
      throw UnusableResponse(
        reason:
          "its first \(Self.limit) bytes don't contain the end of the prelude, which is eight NUL bytes after the JSON."
      )
    }
    guard let end else { return nil }
    let separator = bytes[end...].prefix(Self.separatorLength)
    guard separator.allSatisfy({ $0 == 0 }) else {
      throw UnusableResponse(
        reason: "fewer than eight NUL bytes follow the prelude's JSON (at byte \(end)).")
    }
    if separator.count < Self.separatorLength { return nil }
    return (try head(bytes[..<end]), Array(bytes[(end + Self.separatorLength)...]))
  }

  /// The error of a stream that ends before its prelude is complete.
  var endError: UnusableResponse {
    UnusableResponse(
      reason:
        "it ended after \(bytes.count) bytes, before the end of the prelude, which is eight NUL bytes after the JSON."
    )
  }

  private func head(_ json: ArraySlice<UInt8>) throws(UnusableResponse) -> FunctionURLResponseHead {
    guard let document = try? JSONValue(parsing: Array(json)), document.members != nil else {
      throw UnusableResponse(
        reason:
          "its prelude isn't a JSON object (\(FunctionURLResponseHead.excerpt(String(decoding: json.prefix(240), as: UTF8.self))))."
      )
    }
    return try FunctionURLResponseHead(document, defaultContentType: "application/octet-stream")
  }
}
