import WireFormats

/// An HTTP request from an Application Load Balancer.
public struct LoadBalancerRequest: HTTPRequestEvent {
  /// What error messages call a request from a load balancer.
  public static let eventName = "an HTTP request of an Application Load Balancer"

  /// The request exactly as received, with the query string still encoded.
  public let json: JSON
  /// The method in upper case, such as `GET` (`httpMethod`).
  public let method: String
  /// The path of the request, such as `/search`.
  public let path: String
  /// The parameters of the query string. The load balancer sends them encoded; these are decoded.
  public let queryItems: [QueryItem]
  /// The header fields. If multi-value headers are disabled, only the last value of each name: see ``hasMultiValueHeaders``.
  public let headers: [HeaderField]
  /// The body, decoded if the load balancer sent it as Base64, which it does for content types that aren't text; empty if there is none.
  public let body: [UInt8]

  /// Reads a request.
  ///
  /// Throws an error if `httpMethod` or `path` is missing, or if a header, a query parameter or the body can't be read.
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

  /// The cookies of the `Cookie` headers, such as `theme=dark`.
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

  /// Returns `answer` with its header fields in `multiValueHeaders` if the target group has them enabled, otherwise in `headers`.
  ///
  /// Fails with `Function.BadResponse` if HTTP doesn't allow the status code or a header, or if there are several cookies, but
  /// multi-value headers are disabled.
  public func response(with answer: HTTPResponse) throws(InvocationFailure) -> Response {
    try answer.encoded(as: hasMultiValueHeaders ? .loadBalancerWithLists : .loadBalancer)
  }
}
