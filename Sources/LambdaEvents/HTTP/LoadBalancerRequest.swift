import WireFormats

/// An HTTP request from an Application Load Balancer.
public struct LoadBalancerRequest: HTTPRequestEvent {
  public static let eventName = "an HTTP request of an Application Load Balancer"

  public let json: JSON
  public let method: String
  public let path: String
  /// The parameters of the query string. The load balancer sends them encoded; these are decoded.
  public let queryItems: [QueryItem]
  public let headers: [HeaderField]
  public let body: [UInt8]

  public init(json: JSON) throws(EventError) {
    method = try json.read("httpMethod")
    path = try json.read("path")
    queryItems = try json.pairs("multiValueQueryStringParameters", "queryStringParameters").map {
      QueryItem(formDecoding($0[...].utf8), formDecoding($1[...].utf8))
    }
    headers = try json.httpHeaders()
    body = try json.httpBody()
    self.json = json
  }

  public var cookies: [String] { LambdaEvents.cookies(in: headers) }

  /// The ARN of the target group.
  public var targetGroupARN: String? { json["requestContext"]?["elb"]?["targetGroupArn"]?.string }
  /// The client's address: the last one in `X-Forwarded-For`, which the load balancer appends unless configured otherwise.
  public var sourceAddress: String? {
    header("X-Forwarded-For")?.split(separator: ",").last.map { trimmingBlanks($0) }
  }
  /// Whether this is a health check of the target group.
  public var isHealthCheck: Bool { header("User-Agent")?.hasPrefix("ELB-HealthChecker/") ?? false }
  /// Whether the target group has multi-value headers enabled, and so expects them in the response.
  public var hasMultiValueHeaders: Bool { json["multiValueHeaders"].map { !$0.isNull } ?? false }

  public func response(with answer: HTTPResponse) throws(InvocationFailure) -> Response {
    try answer.encoded(as: hasMultiValueHeaders ? .loadBalancerWithLists : .loadBalancer)
  }
}
