import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing

/// Answers without a network, and keeps what it was asked.
final class ScriptedExchange: HTTPExchange {
  var answers: [Result<HTTPResponse, HTTPError>]
  private(set) var requests: [HTTPRequest] = []
  private(set) var timeouts: [Duration] = []

  init(_ answers: [Result<HTTPResponse, HTTPError>]) {
    self.answers = answers
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    requests.append(request)
    timeouts.append(timeout)
    return try answers.isEmpty ? HTTPResponse(status: 200) : answers.removeFirst().get()
  }
}

/// A publisher with made-up credentials over `exchange`.
private func publisher(
  _ exchange: any HTTPExchange, url: String = "https://iot.example.com", time: any TimeKeeper = ManualTime(),
  credentials: [String: String] = ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"]
) throws -> HTTPSPublisher {
  try HTTPSPublisher(
    endpoint: Endpoint(url: url), region: "us-east-1",
    credentials: EnvironmentCredentials(Environment(credentials)), exchange: exchange, time: time,
    log: Log { _, _ in })
}

private func publish(
  _ payload: [UInt8] = [1], with publisher: HTTPSPublisher, time: any TimeKeeper = ManualTime(),
  within duration: Duration = .seconds(60)
) throws -> PublishReceipt {
  try publisher.publish(
    payload, to: Topic(validating: "a/b c"), qos: .atLeastOnce, until: time.bootTime.advanced(by: duration))
}

struct `Publishing over HTTPS` {
  @Test func `sends one signed request and tells what the answer said`() throws {
    let body = Array(#"{"message":"OK","traceId":"t-1"}"#.utf8)
    let exchange = ScriptedExchange([
      .success(HTTPResponse(status: 200, headers: [("x-amzn-RequestId", "r-1")], body: body))
    ])
    let receipt = try publish([0, 255], with: publisher(exchange))
    #expect(receipt == PublishReceipt(status: 200, traceID: "t-1", requestID: "r-1", attempts: 1))
    let request = try #require(exchange.requests.first)
    #expect(request.method == "POST")
    #expect(request.url == "https://iot.example.com/topics/a%2Fb%20c?qos=1")
    #expect(request.body == [0, 255])
    #expect(request.headers.map(\.name) == ["X-Amz-Date", "Authorization", "User-Agent"])
  }

  @Test(arguments: ["", "not JSON", "{", "[]", "null", #"{"traceId":1}"#])
  func `is acknowledged by any success, whatever its body`(body: String) throws {
    let exchange = ScriptedExchange([.success(HTTPResponse(status: 202, body: Array(body.utf8)))])
    #expect(
      try publish(with: publisher(exchange))
        == PublishReceipt(status: 202, traceID: nil, requestID: nil, attempts: 1))
  }

  @Test func `gives an attempt ten seconds, or what the deadline leaves`() throws {
    let exchange = ScriptedExchange([])
    _ = try publish(with: publisher(exchange))
    _ = try publish(with: publisher(exchange), within: .milliseconds(700))
    #expect(exchange.timeouts == [.seconds(10), .milliseconds(700)])
  }

  @Test(arguments: [Duration.zero, .seconds(-1)])
  func `sends nothing where no time is left`(duration: Duration) throws {
    let exchange = ScriptedExchange([])
    let error = try #require(throws: PublishError.self) {
      try publish(with: publisher(exchange), within: duration)
    }
    #expect(error.cause == .noTimeLeft)
    #expect(error.attempts == 0)
    #expect(exchange.requests.isEmpty)
  }

  @Test func `sends nothing that is larger than AWS IoT takes`() throws {
    let exchange = ScriptedExchange([])
    let payload = [UInt8](repeating: 0, count: 131_073)
    let error = try #require(throws: PublishError.self) { try publish(payload, with: publisher(exchange)) }
    #expect(error.cause == .payloadTooLarge(bytes: 131_073, limit: 131_072))
    #expect(exchange.requests.isEmpty)
    _ = try publish(payload.dropLast(), with: publisher(exchange))
  }

  @Test func `sends nothing without credentials and says which variables to set`() throws {
    let exchange = ScriptedExchange([])
    let error = try #require(throws: PublishError.self) {
      try publish(with: publisher(exchange, credentials: [:]))
    }
    #expect("\(error)".contains("AWS_ACCESS_KEY_ID"))
    #expect(exchange.requests.isEmpty)
  }

  @Test func `over a real socket keeps the path as it is`() throws {
    let server = try ScriptedServer([.keep(httpResponse(body: #"{"message":"OK"}"#))])
    defer { server.stop() }
    let exchange = try CurlExchange(CurlExchange.Configuration(Environment([:])))
    let time = SystemTime(shutdown: nil)
    _ = try publish([], with: publisher(exchange, url: server.url, time: time), time: time)
    let received = try #require(server.received.first)
    #expect(received.requestLine == "POST /topics/a%2Fb%20c?qos=1 HTTP/1.1")
    #expect(
      received.headerLines.map { String($0.prefix { $0 != ":" }) }.sorted() == [
        "Authorization", "Content-Length", "Host", "User-Agent", "X-Amz-Date",
      ])
  }
}

struct `A failed publish` {
  @Test(arguments: [
    (
      403, "ForbiddenException:http://internal/", #"{"message":"Forbidden","traceId":"t"}"#,
      "ForbiddenException"
    ),
    (400, "", #"{"__type":"com.amazonaws#InvalidRequestException"}"#, "InvalidRequestException"),
    (429, "", #"{"code":"ThrottlingException","message":1}"#, "ThrottlingException"),
    (503, "", "<html>busy</html>", nil), (500, ":", "", nil), (404, "", #"{"code":""}"#, nil),
  ])
  func `carries status and code, whatever the shape of the answer`(
    status: Int, type: String, body: String, code: String?
  ) throws {
    let headers = [("X-Amzn-ErrorType", type), ("x-amzn-requestid", "r-2")]
    let exchange = ScriptedExchange([
      .success(HTTPResponse(status: status, headers: headers, body: Array(body.utf8)))
    ])
    let error = try #require(throws: PublishError.self) { try publish(with: publisher(exchange)) }
    #expect(error.status == status)
    #expect(error.code == code)
    #expect(error.requestID == "r-2")
    #expect(error.attempts >= 1)
    #expect("\(error)".contains("\(status)"))
    #expect("\(error)".contains("https://iot.example.com"))
  }

  @Test(arguments: [
    (403, "Forbidden", "iot:Publish"),
    (403, "The request signature we calculated does not match", "secret access key"),
    (403, "The security token included in the request is invalid.", "get new ones"),
    (403, "Credential should be scoped to a valid region", "AWS_REGION"),
    (403, "Signature expired: A is now earlier than B", "clock"), (413, "", "131072"), (429, "", "throttles"),
    (404, "", "data plane"), (500, "", "next report"),
  ])
  func `says what to do`(status: Int, message: String, advice: String) {
    let body = Array(#"{"message":"\#(message)"}"#.utf8)
    let exchange = ScriptedExchange([.success(HTTPResponse(status: status, body: body))])
    #expect {
      try publish(with: publisher(exchange))
    } throws: { error in
      (error as? PublishError)?.advice.contains(advice) == true
    }
  }

  @Test func `never shows a secret`() throws {
    let failures: [Result<HTTPResponse, HTTPError>] = [
      .success(HTTPResponse(status: 403)), .failure(.notTrusted("x")), .failure(.timedOut(.answering, "y")),
    ]
    for failure in failures {
      let exchange = ScriptedExchange([failure])
      let error = try #require(throws: PublishError.self) { try publish(with: publisher(exchange)) }
      var dumped = ""
      dump(error, to: &dumped)
      #expect(!("\(error)" + dumped).contains("s3cr3t"))
    }
  }
}
