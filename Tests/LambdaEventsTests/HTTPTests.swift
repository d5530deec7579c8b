import LambdaEvents
import Testing
import WireFormats

@Suite struct `An HTTP request` {
  @Test func `of API Gateway 2`() throws {
    let request: APIGatewayV2Request = try sample("apigateway-v2")
    #expect(
      request.method == "POST" && request.path == "/live/orders/7" && request.routeKey == "POST /orders/{id}")
    #expect(
      request.queryItems == [
        QueryItem("tag", "new"), QueryItem("tag", "two words"), QueryItem("note", "50%"),
        QueryItem("flag", ""),
      ])
    #expect(request.query("tag") == "new" && request.query("flag") == "" && request.query("Tag") == nil)
    #expect(request.header("Content-Type") == "application/json" && request.header("X-None") == nil)
    #expect(
      request.cookie("theme") == "dark" && request.cookie("session") == "a=b" && request.cookie("s") == nil)
    #expect(request.bodyText == "{\"item\":\"lamp\",\"count\":2}\n\t")
    #expect(request.pathParameters == ["id": "7"] && request.stageVariables == ["table": "orders-live"])
    #expect(request.authorizer?["jwt"]?["claims"]?["sub"]?.string == "8d6c")
    #expect(request.sourceAddress == "192.0.2.44" && request.stage == "live")
    #expect(request.time == WallTime(millisecondsSinceEpoch: 1_794_824_430_123))
    #expect(request.requestID == "RxmPLexmPL0=")
    #expect(request.domainName == "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com")
  }

  @Test func `of a function URL`() throws {
    let request: FunctionURLRequest = try sample("function-url")
    #expect(
      request.method == "PUT" && request.path == "/" && request.queryItems.isEmpty && request.cookies.isEmpty)
    #expect(request.body == [0, 255, 16, 32] && request.bodyText == nil)
    #expect(
      request.sourceAddress == "2001:db8::7" && request.routeKey == "$default" && request.authorizer == nil)
  }

  @Test func `of API Gateway 1`() throws {
    let request: APIGatewayV1Request = try sample("apigateway-v1")
    #expect(request.method == "GET" && request.path == "/orders/7" && request.resource == "/orders/{id}")
    #expect(request.queryItems == [QueryItem("tag", "new"), QueryItem("tag", "two words")])
    #expect(request.header("x-tag") == "one, two" && request.headers.count == 5)
    #expect(request.cookies == ["theme=dark", "session=a=b"])
    #expect(request.body.isEmpty && request.pathParameters["id"] == "7" && request.stageVariables.isEmpty)
    #expect(request.authorizer?["level"]?.integer(as: Int.self) == 3)
    #expect(request.sourceAddress == "192.0.2.44" && request.stage == "prod")
    #expect(request.requestID == "6f3c7d54-1111-4222-8333-944445555666")
    #expect(request.time == WallTime(millisecondsSinceEpoch: 1_794_824_430_123))
  }

  @Test func `of a load balancer`() throws {
    let single: LoadBalancerRequest = try sample("load-balancer")
    #expect(single.queryItems == [QueryItem("q", "two words"), QueryItem("a&b", "1 2")])
    #expect(single.sourceAddress == "192.0.2.44" && !single.isHealthCheck && !single.hasMultiValueHeaders)
    #expect(single.targetGroupARN?.hasSuffix("targetgroup/orders/0123456789abcdef") == true)
    let lists: LoadBalancerRequest = try sample("load-balancer-lists")
    #expect(lists.queryItems == [QueryItem("q", "lamp"), QueryItem("q", "two words")])
    #expect(lists.header("X-Tag") == "one, two" && lists.cookies == ["theme=dark", "session=1"])
    #expect(lists.bodyText == "Grüße" && lists.isHealthCheck && lists.hasMultiValueHeaders)
  }

  @Test(arguments: [
    ("a=%", [QueryItem("a", "%")]), ("a=%4&b=%zz", [QueryItem("a", "%4"), QueryItem("b", "%zz")]),
    ("a=%C3%BC&%C3%BC=1", [QueryItem("a", "ü"), QueryItem("ü", "1")]),
    ("&&=&a==&", [QueryItem("", ""), QueryItem("a", "=")]),
    ("a=%FF", [QueryItem("a", "\u{FFFD}")]), ("a=1+%2B+%zz", [QueryItem("a", "1+%2B+%zz")]), ("", []),
  ])
  func `keeps an odd query string`(query: String, items: [QueryItem]) throws {
    let request = try APIGatewayV2Request(
      #"{"rawPath":"/","rawQueryString":"\#(query)","requestContext":{"http":{"method":"GET"}}}"#)
    #expect(request.queryItems == items)
  }

  @Test(arguments: [
    (#""body":"%%%","isBase64Encoded":true"#, "'body' isn't Base64 with padding"),
    (#""body":7"#, "'body' is a number, but must be a string"),
    (#""isBase64Encoded":"true","body":"x""#, "'isBase64Encoded' is a string, but must be a boolean"),
    (#""headers":[]"#, "'headers' is an array, but must be an object"),
    (#""headers":{"a":1}"#, "'headers.a' is a number, but must be a string"),
    (#""multiValueHeaders":{"a":["x",1]}"#, "'multiValueHeaders.a[1]' is a number, but must be a string"),
    (#""cookies":"a=b""#, "'cookies' is a string, but must be an array"),
    (#""body":"\ud800""#, "'body' has an unpaired surrogate, so it isn't valid Unicode"),
  ])
  func `is rejected if what it depends on is wrong`(members: String, problem: String) {
    let failure = #expect(throws: InvocationFailure.self) {
      try APIGatewayV2Request(#"{"rawPath":"/","requestContext":{"http":{"method":"GET"}},\#(members)}"#)
    }
    #expect(failure?.message == "The event isn't \(APIGatewayV2Request.eventName): \(problem).")
  }

  @Test func `has both values of a header that occurs twice`() throws {
    let request = try APIGatewayV2Request(
      #"{"rawPath":"/","requestContext":{"http":{"method":"GET"}},"headers":{"a":"1","A":"2","a":"3","b":null}}"#
    )
    #expect(request.header("a") == "1, 2, 3" && request.header("b") == nil)
  }
}

@Suite struct `An HTTP response` {
  private let response = HTTPResponse(
    statusCode: 201,
    headers: [
      HeaderField("Content-Type", "text/plain"), HeaderField("X-Tag", "1"), HeaderField("x-tag", "2"),
    ],
    cookies: ["a=1; Secure", "b=2"], body: Array("ü \"\n".utf8))

  private func sent(_ file: String, _ response: HTTPResponse) throws -> JSONValue {
    switch file {
    case "apigateway-v2": try document(sample(file, as: APIGatewayV2Request.self).response(with: response))
    case "apigateway-v1": try document(sample(file, as: APIGatewayV1Request.self).response(with: response))
    default: try document(sample(file, as: LoadBalancerRequest.self).response(with: response))
    }
  }

  @Test func `to API Gateway 2 joins values and lists cookies`() throws {
    let sent = try text(sample("apigateway-v2", as: APIGatewayV2Request.self).response(with: response))
    let headers = #"{"Content-Type":"text/plain","X-Tag":"1, 2"},"cookies":["a=1; Secure","b=2"]"#
    #expect(sent == #"{"statusCode":201,"headers":\#(headers),"body":"ü \"\n","isBase64Encoded":false}"#)
  }

  @Test func `to API Gateway 2 has the cookies among its headers in the list`() throws {
    let response = HTTPResponse(headers: [HeaderField("set-cookie", "a=1")], cookies: ["b=2"])
    let sent = try sent("apigateway-v2", response)
    #expect(sent["headers"] == .object([]) && sent["cookies"]?.array?.map(\.string) == ["a=1", "b=2"])
  }

  @Test func `to API Gateway 1 has only members that it accepts`() throws {
    let sent = try sent("apigateway-v1", response)
    #expect(
      sent.members?.map(\.name) == ["statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"])
    #expect(sent["headers"]?.members?.map(\.name) == ["Content-Type"])
    #expect(sent["multiValueHeaders"]?["X-Tag"]?.array?.map(\.string) == ["1", "2"])
    #expect(sent["multiValueHeaders"]?["Set-Cookie"]?.array?.map(\.string) == ["a=1; Secure", "b=2"])
  }

  @Test func `to a load balancer has the headers that the target group expects`() throws {
    let lists = try sent("load-balancer-lists", response)
    #expect(lists["headers"] == nil && lists["multiValueHeaders"]?.members?.count == 3)
    // The load balancer requires the member, even if it is empty.
    #expect(try sent("load-balancer-lists", HTTPResponse())["multiValueHeaders"] == .object([]))
    #expect(try sent("load-balancer", HTTPResponse())["headers"] == .object([]))
    var single = response
    single.cookies = ["a=1"]
    let joined = try sent("load-balancer", single)
    #expect(joined["multiValueHeaders"] == nil && joined["headers"]?["X-Tag"]?.string == "1, 2")
    #expect(joined["headers"]?["Set-Cookie"]?.string == "a=1")
    let failure = #expect(throws: InvocationFailure.self) { try sent("load-balancer", response) }
    #expect(failure?.type == "Function.BadResponse")
    #expect(failure?.message.contains("2 cookies. Enable multi-value headers") == true)
  }

  @Test func `is Base64 if its body isn't UTF-8`() throws {
    let sent = try sent("apigateway-v2", HTTPResponse(body: [0, 255]))
    #expect(sent["body"]?.string == "AP8=" && sent["isBase64Encoded"]?.boolean == true)
    #expect(try self.sent("apigateway-v2", HTTPResponse())["body"]?.string == "")
  }

  @Test func `has a content type for a text and for JSON`() throws {
    #expect(HTTPResponse("x").headers == [HeaderField("Content-Type", "text/plain; charset=utf-8")])
    let json = HTTPResponse(json: ["a": 1], statusCode: 404)
    #expect(json.headers == [HeaderField("Content-Type", "application/json")] && json.statusCode == 404)
    #expect(String(decoding: json.body, as: UTF8.self) == #"{"a":1}"#)
  }

  @Test(arguments: [
    (HTTPResponse(statusCode: 0), "the status code is 0"),
    (HTTPResponse(statusCode: -7), "the status code is -7"),
    (HTTPResponse(statusCode: 600), "Use a number from 100 to 599"),
    (
      HTTPResponse(headers: [HeaderField("X", "a\r\nSet-Cookie: b")]),
      "the value of 'X' has a control character"
    ),
    (HTTPResponse(headers: [HeaderField("X\r\nY", "a")]), "a header has an invalid name"),
    (HTTPResponse(headers: [HeaderField("", "a")]), "a header has an invalid name"),
    (HTTPResponse(cookies: ["a=b\nX: y"]), "the value of 'Set-Cookie' has a control character"),
  ])
  func `that HTTP doesn't allow fails the invocation`(response: HTTPResponse, problem: String) throws {
    let request: APIGatewayV2Request = try sample("apigateway-v2")
    let failure = #expect(throws: InvocationFailure.self) { try request.response(with: response) }
    #expect(
      failure?.type == "Function.BadResponse" && failure?.message.contains(problem) == true,
      "\(failure?.message ?? "")")
  }
}
