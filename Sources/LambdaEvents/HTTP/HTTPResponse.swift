import WireFormats

/// The response to an HTTP request. ``HTTPRequestEvent`` sends it in the format of the service that sent the request.
///
/// A body that isn't UTF-8 is sent as Base64.
public struct HTTPResponse: Sendable, Equatable {
  /// The status code, such as 200.
  public var statusCode: Int
  /// The header fields. A name may occur several times, also `Set-Cookie`.
  public var headers: [HeaderField]
  /// The values of the `Set-Cookie` headers, such as `theme=dark; Secure`.
  public var cookies: [String]
  /// The body, as the client receives it.
  public var body: [UInt8]

  /// Creates a response. Without a `Content-Type`, API Gateway and function URLs declare the body as JSON.
  public init(
    statusCode: Int = 200, headers: [HeaderField] = [], cookies: [String] = [], body: [UInt8] = []
  ) {
    self.statusCode = statusCode
    self.headers = headers
    self.cookies = cookies
    self.body = body
  }

  /// Creates a response with a text.
  public init(_ text: String, contentType: String = "text/plain; charset=utf-8", statusCode: Int = 200) {
    self.init(
      statusCode: statusCode, headers: [HeaderField("Content-Type", contentType)], body: Array(text.utf8))
  }

  /// Creates a response with a JSON value.
  public init(json: JSONLiteral, statusCode: Int = 200) {
    self.init(jsonBytes: json.bytes, statusCode: statusCode)
  }

  /// Creates a response from bytes that are already JSON, for example those of an encoder.
  public init(jsonBytes: [UInt8], statusCode: Int = 200) {
    self.init(
      statusCode: statusCode, headers: [HeaderField("Content-Type", "application/json")], body: jsonBytes)
  }
}

/// How a service expects the response to an HTTP request.
enum HTTPResponseFormat {
  /// One value for each name, and a list of cookies.
  case version2
  /// One value for each name, or a list of them in `multiValueHeaders`.
  case version1
  /// One value for each name.
  case loadBalancer
  /// A list of values for each name.
  case loadBalancerWithLists
}

extension HTTPResponse {
  func encoded(as format: HTTPResponseFormat) throws(InvocationFailure) -> Response {
    var grouped = try groupedHeaders()
    let cookies = grouped.first { $0.name == "Set-Cookie" }?.values ?? []
    var document = JSONWriter(capacity: body.count + 512)
    document.beginMap(count: 5)
    document.member("statusCode", UInt64(statusCode))
    switch format {
    case .version2:
      grouped.removeAll { $0.name == "Set-Cookie" }
      writeJoined(grouped, to: &document)
      if !cookies.isEmpty {
        document.key("cookies")
        write(cookies, to: &document)
      }
    case .version1:
      writeJoined(grouped.filter { $0.values.count == 1 }, to: &document)
      let lists = grouped.filter { $0.values.count > 1 }
      if !lists.isEmpty { writeLists(lists, to: &document) }
    case .loadBalancer:
      guard cookies.count < 2 else {
        throw unusable(
          "it has \(cookies.count) cookies. Enable multi-value headers of the target group, or send one")
      }
      writeJoined(grouped, to: &document)
    case .loadBalancerWithLists: writeLists(grouped, to: &document)
    }
    writeBody(to: &document)
    document.endMap()
    return Response(json: document.bytes)
  }

  private typealias Header = (name: HeaderName, values: [String])

  /// The headers by name, with the cookies.
  private func groupedHeaders() throws(InvocationFailure) -> [Header] {
    guard (100...599).contains(statusCode) else {
      throw unusable("the status code is \(statusCode). Use a number from 100 to 599")
    }
    var grouped: [Header] = []
    for field in headers + cookies.map({ HeaderField("Set-Cookie", $0) }) {
      if let problem = field.problem { throw unusable(problem) }
      if let index = grouped.firstIndex(where: { $0.name == field.name }) {
        grouped[index].values.append(field.value)
      } else {
        grouped.append((field.name, [field.value]))
      }
    }
    return grouped
  }

  private func unusable(_ problem: String) -> InvocationFailure {
    InvocationFailure(type: "Function.BadResponse", message: "The HTTP response can't be sent: \(problem).")
  }

  private func writeJoined(_ headers: [Header], to document: inout JSONWriter) {
    document.key("headers")
    document.beginMap(count: headers.count)
    for header in headers { document.member(header.name.text, header.values.joined(separator: ", ")) }
    document.endMap()
  }

  private func writeLists(_ headers: [Header], to document: inout JSONWriter) {
    document.key("multiValueHeaders")
    document.beginMap(count: headers.count)
    for header in headers {
      document.key(header.name.text)
      write(header.values, to: &document)
    }
    document.endMap()
  }

  private func writeBody(to document: inout JSONWriter) {
    let text = String(validating: body, as: UTF8.self)
    document.member("body", text ?? base64(body))
    document.key("isBase64Encoded")
    document.boolean(text == nil)
  }
}

func write(_ texts: [String], to document: inout JSONWriter) {
  document.beginList(count: texts.count)
  for text in texts { document.string(text) }
  document.endList()
}
