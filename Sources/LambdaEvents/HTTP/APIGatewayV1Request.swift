/// An HTTP request from a REST API of Amazon API Gateway, or from an HTTP API in payload format 1.0.
public struct APIGatewayV1Request: HTTPRequestEvent {
  /// What error messages call a request in format 1.0.
  public static let eventName = "an HTTP request of API Gateway (format 1.0)"

  /// The request exactly as received, with members that have no property, such as `requestContext.path`.
  public let json: JSON
  /// The method in upper case, such as `GET` (`httpMethod`).
  public let method: String
  /// The path without the stage.
  public let path: String
  /// The parameters of the query string, decoded. The values of one name are in their order and follow each other
  /// (`multiValueQueryStringParameters`).
  public let queryItems: [QueryItem]
  /// The header fields. The values of one name are in their order and follow each other (`multiValueHeaders`).
  public let headers: [HeaderField]
  /// The body, decoded if API Gateway sent it as Base64, which it does for the API's binary media types; empty if there is none.
  public let body: [UInt8]

  /// Reads a request.
  ///
  /// Throws an error if `httpMethod` or `path` is missing, or if a header, a query parameter or the body can't be read.
  public init(json: JSON) throws(EventError) {
    method = try json.read("httpMethod")
    path = try json.read("path")
    queryItems = try json.pairs("multiValueQueryStringParameters", "queryStringParameters").map {
      QueryItem($0, $1)
    }
    headers = try json.httpHeaders()
    body = try json.httpBody()
    self.json = json
  }

  /// The cookies of the `Cookie` headers, such as `theme=dark`.
  public var cookies: [String] { LambdaEvents.cookies(in: headers) }

  /// The path of the resource that matched, such as `/orders/{id}`.
  public var resource: String? { json["resource"]?.string }
  /// The values of the path's variables, such as `id`.
  public var pathParameters: [String: String] { json["pathParameters"]?.texts ?? [:] }
  /// The variables of the stage.
  public var stageVariables: [String: String] { json["stageVariables"]?.texts ?? [:] }
  /// What an authorizer found out about the caller.
  public var authorizer: JSON? { context?["authorizer"] }
  /// The client's address.
  public var sourceAddress: String? { context?["identity"]?["sourceIp"]?.string }
  /// The ID of the request.
  public var requestID: String? { context?["requestId"]?.string }
  /// The stage, such as `prod`.
  public var stage: String? { context?["stage"]?.string }
  /// When the service received the request.
  public var time: WallTime? { context?["requestTimeEpoch"]?.timeInMilliseconds }

  private var context: JSON? { json["requestContext"] }

  /// Returns `answer` in format 1.0: a name with one value is in `headers`, one with several values in `multiValueHeaders`.
  ///
  /// Fails with `Function.BadResponse` if HTTP doesn't allow the status code or a header.
  public func response(with answer: HTTPResponse) throws(InvocationFailure) -> Response {
    try answer.encoded(as: .version1)
  }
}
