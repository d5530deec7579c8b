/// An HTTP request from a REST API of Amazon API Gateway, or from an HTTP API in payload format 1.0.
public struct APIGatewayV1Request: HTTPRequestEvent {
  public static let eventName = "an HTTP request of API Gateway (format 1.0)"

  public let json: JSON
  public let method: String
  /// The path without the stage.
  public let path: String
  public let queryItems: [QueryItem]
  public let headers: [HeaderField]
  public let body: [UInt8]

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

  public func response(with answer: HTTPResponse) throws(InvocationFailure) -> Response {
    try answer.encoded(as: .version1)
  }
}
