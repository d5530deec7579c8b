/// An HTTP request in payload format 2.0: from an HTTP API of Amazon API Gateway, or from a function URL.
public struct APIGatewayV2Request: HTTPRequestEvent {
  /// What error messages call a request in format 2.0.
  public static let eventName = "an HTTP request of API Gateway (format 2.0) or of a function URL"

  /// The request exactly as received, with members that have no property, such as `requestContext.http.userAgent`.
  public let json: JSON
  /// The method in upper case, such as `GET` (`requestContext.http.method`).
  public let method: String
  /// The path, including the stage unless it is `$default`.
  public let path: String
  /// The query string as the client sent it; empty if there is none.
  public let rawQueryString: String
  /// The header fields except `Cookie`, with names in lower case. The service joins several values of one name with commas.
  public let headers: [HeaderField]
  /// The cookies of the request, one in each element, such as `theme=dark`; empty if there are none.
  public let cookies: [String]
  /// The body, decoded if the service sent it as Base64, which it does for content types that aren't text; empty if there is none.
  public let body: [UInt8]

  /// Reads a request.
  ///
  /// Throws an error if `requestContext.http.method` or `rawPath` is missing, or if a header, a cookie or the body can't be read.
  public init(json: JSON) throws(EventError) {
    let context = try json.object("requestContext")
    method = try context.object("http").read("method")
    path = try json.read("rawPath")
    rawQueryString = try json.readIfPresent("rawQueryString") ?? ""
    headers = try json.httpHeaders()
    cookies = try json.readIfPresent("cookies") ?? []
    body = try json.httpBody()
    self.json = json
  }

  /// The parameters of ``rawQueryString``, decoded, in the order in which the client sent them.
  public var queryItems: [QueryItem] { LambdaEvents.queryItems(parsing: rawQueryString) }

  /// The route that matched, such as `GET /orders/{id}`; always `$default` from a function URL.
  public var routeKey: String? { json["routeKey"]?.string }
  /// The values of the path's variables, such as `id`.
  public var pathParameters: [String: String] { json["pathParameters"]?.texts ?? [:] }
  /// The variables of the stage.
  public var stageVariables: [String: String] { json["stageVariables"]?.texts ?? [:] }
  /// What an authorizer or IAM found out about the caller: the members `jwt`, `lambda` or `iam`.
  public var authorizer: JSON? { context?["authorizer"] }
  /// The client's address.
  public var sourceAddress: String? { context?["http"]?["sourceIp"]?.string }
  /// The ID of the request.
  public var requestID: String? { context?["requestId"]?.string }
  /// The domain that the client used, such as `abc123.lambda-url.eu-west-1.on.aws`.
  public var domainName: String? { context?["domainName"]?.string }
  /// The stage, such as `$default`.
  public var stage: String? { context?["stage"]?.string }
  /// When the service received the request.
  public var time: WallTime? { context?["timeEpoch"]?.timeInMilliseconds }

  private var context: JSON? { json["requestContext"] }

  /// Returns `answer` in format 2.0: several values of one name are joined with commas, and cookies are in `cookies`.
  ///
  /// Fails with `Function.BadResponse` if HTTP doesn't allow the status code or a header.
  public func response(with answer: HTTPResponse) throws(InvocationFailure) -> Response {
    try answer.encoded(as: .version2)
  }
}

/// An HTTP request from a function URL, which has the same format as one from an HTTP API.
public typealias FunctionURLRequest = APIGatewayV2Request
