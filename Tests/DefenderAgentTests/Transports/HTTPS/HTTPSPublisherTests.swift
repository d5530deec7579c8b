import AWSClient
import DefenderAgent
import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// Has no credentials, and counts how often it is renewed.
private final class RenewedSource: CredentialSource {
  let name = "a test"
  private(set) var renewals = 0

  func credentials(at now: WallTime, until deadline: BootTime) throws(CredentialError) -> Credentials? { nil }

  func renew() { renewals += 1 }
}

struct `Publishing over HTTPS` {
  @Test func `renews its credential source when it is renewed`() throws {
    let source = RenewedSource()
    let publisher = try testPublisher(ScriptedExchange([]), source)
    publisher.renew()
    #expect(source.renewals == 1)
  }

  @Test func `sends one signed request and returns the outcome`() throws {
    let body = Array(#"{"message":"OK","traceId":"t-1"}"#.utf8)
    let exchange = ScriptedExchange([
      .success(HTTPResponse(status: 200, headers: [HeaderField("x-amzn-RequestId", "r-1")], body: body))
    ])
    let receipt = try testPublish([0, 255], with: testPublisher(exchange))
    #expect(receipt.status == 200)
    #expect(receipt.requestID == "r-1")
    #expect(receipt.traceID == "t-1")
    #expect(receipt.attempts == 1)
    let request = try #require(exchange.requests.first)
    #expect(request.method == "POST")
    #expect(request.url == "https://iot.example.com/topics/a%2Fb%20c?qos=1")
    #expect(request.body == [0, 255])
    #expect(request.headers.map(\.name) == ["X-Amz-Date", "Authorization", "User-Agent"])
    #expect(request.headers.last?.value == "device-defender-swift/\(packageVersion)")
  }

  @Test(arguments: ["", "not JSON", "{", "[]", "null", #"{"traceId":1}"#])
  func `is acknowledged by any success, whatever its body`(body: String) throws {
    let exchange = ScriptedExchange([.success(HTTPResponse(status: 202, body: Array(body.utf8)))])
    let receipt = try testPublish(with: testPublisher(exchange))
    #expect(receipt.status == 202)
    #expect(receipt.traceID == nil)
    #expect(receipt.requestID == nil)
  }

  @Test func `gives an attempt fifteen seconds, or the time left before the deadline`() throws {
    let exchange = ScriptedExchange([])
    _ = try testPublish(with: testPublisher(exchange))
    _ = try testPublish(with: testPublisher(exchange), within: .milliseconds(700))
    #expect(exchange.timeouts == [.seconds(15), .milliseconds(700)])
  }

  @Test func `gives an attempt the configured time`() throws {
    let exchange = ScriptedExchange([])
    let publisher = try HTTPSPublisher(
      endpoint: ServiceEndpoint(url: "https://x"), region: "r",
      credentials: EnvironmentCredentials(
        Environment(["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"])),
      exchange: exchange, time: ManualTime(), log: Log { _, _ in }, attemptTimeout: .seconds(40))
    _ = try testPublish(with: publisher)
    #expect(exchange.timeouts == [.seconds(40)])
  }

  @Test(arguments: [Duration.zero, .seconds(-1)])
  func `sends nothing if no time is left`(duration: Duration) throws {
    let exchange = ScriptedExchange([])
    let error = try #require(throws: PublishError.self) {
      try testPublish(with: testPublisher(exchange), within: duration)
    }
    #expect(error.cause == .noTimeLeft)
    #expect(error.attempts == 0)
    #expect(exchange.requests.isEmpty)
  }

  @Test func `sends nothing larger than AWS IoT accepts`() throws {
    let exchange = ScriptedExchange([])
    let payload = [UInt8](repeating: 0, count: 131_073)
    let error = try #require(throws: PublishError.self) {
      try testPublish(payload, with: testPublisher(exchange))
    }
    #expect(error.cause == .payloadTooLarge(bytes: 131_073, limit: 131_072))
    #expect(exchange.requests.isEmpty)
    _ = try testPublish(payload.dropLast(), with: testPublisher(exchange))
  }

  @Test func `sends nothing without credentials and names the variables to set`() throws {
    let exchange = ScriptedExchange([])
    let error = try #require(throws: PublishError.self) {
      try testPublish(with: testPublisher(exchange, credentials: [:]))
    }
    #expect("\(error)".contains("AWS_ACCESS_KEY_ID"))
    #expect(exchange.requests.isEmpty)
  }

  @Test func `keeps the path unchanged over a real socket`() throws {
    let server = try ScriptedServer([.keep(httpResponse(body: #"{"message":"OK"}"#))])
    defer { server.stop() }
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    let time = SystemWaiter(shutdown: nil)
    _ = try testPublish([], with: testPublisher(exchange, url: server.url, time: time), time: time)
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
  func `has a status and code for any form of answer`(
    status: Int, type: String, body: String, code: String?
  ) throws {
    let headers = [HeaderField("X-Amzn-ErrorType", type), HeaderField("x-amzn-requestid", "r-2")]
    let response = HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
    let exchange = ScriptedExchange(Array(repeating: .success(response), count: 3))
    let error = try #require(throws: PublishError.self) { try testPublish(with: testPublisher(exchange)) }
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
    (403, "Signature expired: A is now earlier than B", "clock"), (413, "", "131072"), (429, "", "quota"),
    (404, "", "data plane"), (500, "", "next report"),
  ])
  func `advises what to do`(status: Int, message: String, advice: String) {
    let body = Array(#"{"message":"\#(message)"}"#.utf8)
    let response = HTTPResponse(status: status, body: body)
    let exchange = ScriptedExchange(Array(repeating: .success(response), count: 3))
    #expect {
      try testPublish(with: testPublisher(exchange))
    } throws: { error in
      (error as? PublishError)?.advice.contains(advice) == true
    }
  }

  @Test(arguments: [
    (401, "<html>Sign in to this network</html>"), (403, "Access denied by policy"), (403, ""),
  ])
  func `blames no permission for an answer that isn't from AWS`(status: Int, body: String) throws {
    let exchange = ScriptedExchange([.success(HTTPResponse(status: status, body: Array(body.utf8)))])
    let error = try #require(throws: PublishError.self) { try testPublish(with: testPublisher(exchange)) }
    #expect(!error.advice.contains("iot:Publish"))
    #expect(error.advice.contains("proxy"))
  }

  @Test(arguments: ["Access denied by policy", "Your session expired"])
  func `names both causes for a message that anything on the path could have sent`(message: String) throws {
    let body = Array(#"{"message":"\#(message)"}"#.utf8)
    let exchange = ScriptedExchange([.success(HTTPResponse(status: 403, body: body))])
    let error = try #require(throws: PublishError.self) { try testPublish(with: testPublisher(exchange)) }
    #expect(error.advice.contains("proxy"))
    let words = message.hasPrefix("Access") ? "iot:Publish" : "get new ones"
    #expect(error.advice.contains(words))
  }

  @Test(arguments: [
    ("https://abc-ats.iot.eu-west-1.amazonaws.com", "arn:aws:iot:eu-west-1:<account>:topic/a/b c"),
    ("https://data.ats.iot.cn-north-1.amazonaws.com.cn", "arn:aws-cn:iot:cn-north-1:<account>:topic/a/b c"),
    ("https://data.iot-fips.us-gov-west-1.amazonaws.com:8443", "arn:aws-us-gov:iot:us-gov-west-1:<account>:"),
    ("http://127.0.0.1:1", "arn:aws:iot:<region>:<account>:topic/a/b c"),
  ])
  func `names the permission that the role lacks`(url: String, name: String) throws {
    // AWS IoT's real response contains no more than this.
    let body = Array(#"{"message":null,"traceId":"6c3a1b9e"}"#.utf8)
    let exchange = ScriptedExchange([.success(HTTPResponse(status: 403, body: body))])
    let error = try #require(throws: PublishError.self) {
      try testPublish(with: testPublisher(exchange, url: url))
    }
    #expect(error.advice.contains("iot:Publish on \(name)"))
  }

  @Test func `never shows a secret`() throws {
    let failures: [Result<HTTPResponse, HTTPError>] = [
      .success(HTTPResponse(status: 403)), .failure(.notTrusted("x")), .failure(.timedOut(.answering, "y")),
    ]
    for failure in failures {
      let exchange = ScriptedExchange(Array(repeating: failure, count: 3))
      let error = try #require(throws: PublishError.self) { try testPublish(with: testPublisher(exchange)) }
      var dumped = ""
      dump(error, to: &dumped)
      #expect(!("\(error)" + dumped).contains("s3cr3t"))
    }
  }
}

struct `A retry of publishing` {
  private let unavailable = HTTPResponse(status: 503)
  private let fine = HTTPResponse(status: 200)

  @Test func `happens at most twice, with a new signature and the same body`() throws {
    let time = ManualTime()
    let exchange = ScriptedExchange([
      .success(unavailable), .failure(.connectionLost("x")), .success(unavailable), .success(fine),
    ])
    let error = try #require(throws: PublishError.self) {
      try testPublish([7], with: testPublisher(exchange, time: time), time: time)
    }
    #expect(error.attempts == 3)
    #expect(error.status == 503)
    #expect(time.sleeps == [.milliseconds(50), .milliseconds(100)])
    #expect(exchange.requests.map(\.body) == [[7], [7], [7]])
    #expect("\(error)".contains("after 3 attempts"))
  }

  @Test func `has a new date`() throws {
    let time = ManualTime()
    let exchange = ScriptedExchange([.success(HTTPResponse(status: 429)), .success(fine)])
    let receipt = try testPublish(with: testPublisher(exchange, time: time), time: time)
    #expect(receipt.attempts == 2)
    #expect(time.sleeps == [.seconds(1)])
    let dates = exchange.requests.compactMap {
      HTTPResponse(status: 0, headers: $0.headers).header("x-amz-date")
    }
    #expect(dates == ["20240501T123456Z", "20240501T123457Z"])
  }

  @Test(arguments: [
    HTTPError.notTrusted(""), .invalidRequest(""), .withoutTLS(""), .responseTooLarge(.body, limit: 1),
    .proxyRefused(status: 407, ""),
  ])
  func `doesn't happen if it would fail the same way`(failure: HTTPError) throws {
    let exchange = ScriptedExchange([.failure(failure)])
    let error = try #require(throws: PublishError.self) { try testPublish(with: testPublisher(exchange)) }
    #expect(error.cause == .exchange(failure))
    #expect(exchange.requests.count == 1)
  }

  @Test(arguments: [
    (Duration.milliseconds(540), 1), (.milliseconds(560), 2), (.milliseconds(640), 2), (.seconds(1), 3),
  ])
  func `doesn't start without enough time left`(left: Duration, attempts: Int) throws {
    let time = ManualTime()
    let exchange = ScriptedExchange(Array(repeating: .success(unavailable), count: 3))
    let error = try #require(throws: PublishError.self) {
      try testPublish(with: testPublisher(exchange, time: time), time: time, within: left)
    }
    #expect(error.attempts == attempts)
    #expect(time.sleeps.reduce(.zero, +) < left)
  }

  @Test func `waits as long as the service requests`() throws {
    let time = ManualTime()
    let busy = HTTPResponse(status: 429, headers: [HeaderField("X-Amz-Retry-After", "3000")])
    _ = try testPublish(
      with: testPublisher(ScriptedExchange([.success(busy), .success(fine)]), time: time), time: time)
    #expect(time.sleeps == [.seconds(3)])
  }

  @Test func `stops when an outage exhausts the quota, and resumes after a success`() throws {
    let time = ManualTime()
    let exchange = ScriptedExchange([])
    let publisher = try testPublisher(exchange, time: time)
    var attempts: [Int] = []
    for _ in 1...40 {
      exchange.answers = Array(repeating: .success(unavailable), count: 3)
      let error = try #require(throws: PublishError.self) { try testPublish(with: publisher, time: time) }
      attempts.append(error.attempts)
    }
    #expect(attempts.prefix(17).allSatisfy { $0 == 3 })
    #expect(attempts.suffix(20).allSatisfy { $0 == 1 })
    exchange.answers = []
    for _ in 1...14 { _ = try testPublish(with: publisher, time: time) }
    exchange.answers = [.success(unavailable)]
    #expect(try testPublish(with: publisher, time: time).attempts == 2)
  }

  @Test func `happens once after a rejected token, with new credentials`() throws {
    let refusal = HTTPResponse(
      status: 403, headers: [HeaderField("x-amzn-errortype", "ForbiddenException")],
      body: Array(#"{"message":"The security token included in the request is expired"}"#.utf8))
    for (answers, attempts) in [([refusal, fine], 2), ([refusal, refusal, fine], 2)] {
      let source = RotatingCredentials()
      let exchange = ScriptedExchange(answers.map { .success($0) })
      let result = Result { try testPublish(with: testPublisher(exchange, source)) }
      #expect(exchange.requests.count == attempts)
      #expect((try? result.get()) != nil || answers.count == 3)
      let tokens = exchange.requests.map {
        HTTPResponse(status: 0, headers: $0.headers).header("x-amz-security-token")
      }
      #expect(tokens == ["t1", "t2"])
    }
  }

  @Test func `doesn't happen after a rejected permanent key`() throws {
    let refusal = HTTPResponse(
      status: 403, headers: [HeaderField("x-amzn-errortype", "UnrecognizedClientException")],
      body: Array(#"{"message":"The security token included in the request is invalid"}"#.utf8))
    let exchange = ScriptedExchange([.success(refusal)])
    let source = RotatingCredentials(areTemporary: false)
    #expect(throws: PublishError.self) { try testPublish(with: testPublisher(exchange, source)) }
    #expect(exchange.requests.count == 1)
  }

  @Test func `doesn't happen if the policy denies the request`() throws {
    let exchange = ScriptedExchange([
      .success(
        HTTPResponse(
          status: 403,
          headers: [
            HeaderField("x-amzn-errortype", "ForbiddenException"),
            HeaderField("Date", "Wed, 01 May 2024 12:34:56 GMT"),
          ],
          body: Array(#"{"message":"Forbidden"}"#.utf8)))
    ])
    #expect(throws: PublishError.self) {
      try testPublish(with: testPublisher(exchange, RotatingCredentials()))
    }
    #expect(exchange.requests.count == 1)
  }

  @Test func `warns once about a wrong clock, and by how much it is off`() throws {
    var warnings: [String] = []
    let log = Log { level, line in
      if level == .warn { warnings.append(String(decoding: line, as: UTF8.self)) }
    }
    let exchange = ScriptedExchange([])
    let time = ManualTime()
    let publisher = try testPublisher(exchange, time: time, log: log)
    let date = HeaderField("Date", "Wed, 01 May 2024 15:34:56 GMT")
    exchange.answers = [
      .success(
        HTTPResponse(status: 403, headers: [HeaderField("x-amzn-errortype", "ForbiddenException"), date])),
      .success(HTTPResponse(status: 200, headers: [date])),
      .success(HTTPResponse(status: 200, headers: [date])),
    ]
    #expect(try testPublish(with: publisher, time: time).attempts == 2)
    #expect(try testPublish(with: publisher, time: time).attempts == 1)
    #expect(warnings.count == 1)
    #expect(warnings.first?.contains("3 h 0 min 0 s behind") == true)
    // The clock is set right, and is then wrong again.
    let right = HeaderField("Date", "Wed, 01 May 2024 12:34:56 GMT")
    exchange.answers = [right, date].map { .success(HTTPResponse(status: 200, headers: [$0])) }
    for _ in 0..<2 { _ = try testPublish(with: publisher, time: time) }
    #expect(warnings.count == 2)
  }

  @Test func `uses credentials that look expired to a fast clock, and AWS accepts them`()
    throws
  {
    let time = ManualTime()
    let log = RecordedLog()
    // The credentials are valid for an hour by a clock that is two hours behind ours.
    let document = """
      {"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2024-05-01T11:34:56Z"}
      """
    let host = ScriptedExchange([.success(HTTPResponse(status: 200, body: Array(document.utf8)))])
    let source = ContainerCredentials(
      CredentialContext(
        Environment(["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/"]), exchange: host, time: time,
        log: log.log()))
    let date = HeaderField("Date", "Wed, 01 May 2024 10:34:56 GMT")
    let exchange = ScriptedExchange([
      .success(
        HTTPResponse(status: 403, headers: [HeaderField("x-amzn-errortype", "ForbiddenException"), date])),
      .success(HTTPResponse(status: 200, headers: [date])),
    ])
    let publisher = try testPublisher(exchange, source, time: time, log: log.log())
    #expect(try testPublish(with: publisher, time: time).attempts == 2)
    #expect(host.requests.count == 1)
    #expect(log.lines.contains { $0.contains("2 h 0 min 0 s ahead") })
  }

  @Test func `isn't signed if a certificate authenticates it`() throws {
    let exchange = ScriptedExchange([])
    let publisher = try HTTPSPublisher(
      endpoint: ServiceEndpoint(url: "https://x:8443"), exchangeWithCertificate: exchange, time: ManualTime(),
      log: Log { _, _ in })
    _ = try testPublish(with: publisher)
    #expect(exchange.requests.first?.headers.map(\.name) == ["User-Agent"])
  }
}

/// A credential source that returns new credentials after each call of `forget`.
private final class RotatingCredentials: CredentialSource {
  let name = "rotating"
  private let areTemporary: Bool
  private var number = 1

  init(areTemporary: Bool = true) {
    self.areTemporary = areTemporary
  }

  func credentials(at now: WallTime, until deadline: BootTime) throws(CredentialError) -> Credentials? {
    Credentials(
      accessKeyID: "A", secretAccessKey: Secret("s"), sessionToken: areTemporary ? Secret("t\(number)") : nil)
  }

  func forget(_ credentials: Credentials) -> Bool {
    number += 1
    return true
  }
}

struct `Publishing with a certificate` {
  @Test func `requests no protocol on ports other than 443, and warns about a key that others can read`()
    throws
  {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())],
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile,
        protocols: ["x-amzn-http-ca"]))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    _ = unsafe chmod(device.keyFile, 0o644)
    var warnings = 0
    let log = Log { level, _ in if level == .warn { warnings += 1 } }
    let time = SystemWaiter(shutdown: nil)
    let identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
    let publisher = try HTTPSPublisher(
      endpoint: ServiceEndpoint(url: "https://localhost:\(server.port)"), identity: identity,
      ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": authority.certificateFile])), time: time,
      log: log)
    _ = try testPublish(with: publisher, time: time)
    #expect(warnings == 1)
    let received = try #require(server.received.first)
    #expect(received.header("Authorization") == nil)
    #expect(
      received.handshake
        == TLSHandshake(serverName: "localhost", applicationProtocol: nil, clientName: "device"))
  }

  @Test func `requires TLS`() throws {
    #expect(throws: HTTPError.self) {
      try HTTPSPublisher(
        endpoint: ServiceEndpoint(url: "http://localhost"),
        identity: ClientIdentity(certificateFile: "c", keyFile: "k"),
        ConnectionConfiguration(Environment([:])), time: ManualTime(), log: Log { _, _ in })
    }
  }
}
