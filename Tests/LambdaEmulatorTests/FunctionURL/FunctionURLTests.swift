import LambdaEmulator
import NIOCore
import NIOHTTP1
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

/// Tests of the function URL, in which the test is the HTTP client and also uses the Runtime API.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `A function URL of the emulator` {
  private static let next = "/2018-06-01/runtime/invocation/next"

  /// Runs `body` with clients of the function URL and of the Runtime API.
  private func withURL(
    report: @escaping @Sendable (EmulatorEvent) -> Void = { _ in },
    _ body: @Sendable (HTTPTestClient, HTTPTestClient) async throws -> Void
  ) async throws {
    try await withEmulator(report: report, functionURLPort: 0) { emulator, runtime in
      try await body(HTTPTestClient(port: try #require(emulator.functionURLPort)), runtime)
    }
  }

  /// Returns what a client receives if the function responds with `response`.
  private func answer(
    with response: [UInt8], to method: HTTPMethod = .GET,
    report: @escaping @Sendable (EmulatorEvent) -> Void = { _ in }
  ) async throws -> HTTPTestClient.Response {
    let received = Mutex<HTTPTestClient.Response?>(nil)
    try await withURL(report: report) { url, runtime in
      async let answer = url.send(method, "/", body: nil)
      let event = try await runtime.get(Self.next)
      let taken = try await runtime.send(.POST, event.responseTarget, body: response)
      #expect(taken.status == 202)
      let complete = try await answer
      received.withLock { $0 = complete }
    }
    return try #require(received.withLock { $0 })
  }

  // MARK: Requests

  @Test func `passes a request on in payload format 2.0`() async throws {
    try await withURL { url, runtime in
      async let answer = url.post(
        "/a%20b/%C3%A9?x=1&y=a+b%21&x=2&z&%ZZ=1", "grüße",
        headers: [
          HeaderField("X-Tag", "one"), HeaderField("x-tag", "two"), HeaderField("Cookie", "a=1; b=2"),
          HeaderField("Cookie", "c=3"), HeaderField("Content-Type", "Text/Plain; charset=utf-8"),
          HeaderField("User-Agent", "test/1"), HeaderField("X-Forwarded-For", "192.0.2.1"),
        ])
      let event = try await runtime.get(Self.next)
      #expect(event.header("Content-Type") == "application/json")
      let json = try event.json
      #expect(json["version"]?.string == "2.0" && json["routeKey"]?.string == "$default")
      #expect(json["rawPath"]?.string == "/a%20b/%C3%A9")
      #expect(json["rawQueryString"]?.string == "x=1&y=a+b%21&x=2&z&%ZZ=1")
      #expect(json["cookies"]?.array?.compactMap(\.string) == ["a=1", "b=2", "c=3"])
      let parameters = try #require(json["queryStringParameters"]?.members)
      #expect(parameters.map { "\($0.name)=\($0.value.string ?? "")" } == ["x=1,2", "y=a b!", "z=", "%ZZ=1"])
      let headers = try #require(json["headers"])
      #expect(headers["x-tag"]?.string == "one,two")
      #expect(headers["cookie"] == nil)
      #expect(headers["host"]?.string == "127.0.0.1:\(url.port)")
      #expect(headers["x-forwarded-for"]?.string == "127.0.0.1")
      #expect(headers["x-forwarded-port"]?.string == "\(url.port)")
      #expect(headers["x-amzn-trace-id"]?.string == event.header("Lambda-Runtime-Trace-Id"))
      let context = try #require(json["requestContext"])
      #expect(context["http"]?["method"]?.string == "POST")
      #expect(context["http"]?["path"]?.string == "/a%20b/%C3%A9")
      #expect(context["http"]?["sourceIp"]?.string == "127.0.0.1")
      #expect(context["http"]?["userAgent"]?.string == "test/1")
      #expect(context["domainName"]?.string == "local.lambda-url.us-east-1.on.aws")
      let milliseconds: UInt64 = try #require(context["timeEpoch"]?.integer())
      #expect(milliseconds > 1_700_000_000_000)
      let time = try #require(context["time"]?.string)
      #expect(time.wholeMatch(of: /\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000/) != nil, "\(time)")
      #expect(json["body"]?.string == "grüße" && json["isBase64Encoded"]?.boolean == false)
      #expect(try await runtime.post(event.responseTarget, "{}").status == 202)
      #expect(try await answer.status == 200)
    }
  }

  @Test(
    arguments: [
      ("application/json", Array("{}".utf8), false),
      ("application/json ; charset=utf-8", Array("{}".utf8), false),
      ("application/problem+json", Array("{}".utf8), false),
      ("image/svg+xml; charset=utf-8", Array("<svg/>".utf8), false), ("text/html", [0xFF, 0x00], true),
      ("application/x-www-form-urlencoded", Array("a=1".utf8), true), ("image/png", [0x89, 0x50], true),
      (nil, Array("text".utf8), true), ("application/json", [], false),
    ] as [(String?, [UInt8], Bool)])
  func `encodes a body in Base64 unless its type and its bytes are text`(
    type: String?, body: [UInt8], isEncoded: Bool
  ) async throws {
    try await withURL { url, runtime in
      let headers = type.map { [HeaderField("Content-Type", $0)] } ?? []
      async let answer = url.send(.PUT, "/", headers: headers, body: body)
      let event = try await runtime.get(Self.next)
      let json = try event.json
      #expect(json["isBase64Encoded"]?.boolean == isEncoded)
      let text = json["body"]?.string
      #expect(
        body.isEmpty
          ? text == nil : text == (isEncoded ? base64(body) : String(decoding: body, as: UTF8.self)))
      #expect(json["queryStringParameters"] == nil && json["cookies"] == nil)
      #expect(try await runtime.post(event.responseTarget, "{}").status == 202)
      _ = try await answer
    }
  }

  @Test func `rejects a body that is larger than an event can be`() async throws {
    try await withURL { url, runtime in
      // As Base64 it is too long, and as text it would not be.
      for size in [5_000_000, 6 * 1024 * 1024 + 1] {
        let answer = try await url.send(.POST, "/", body: [UInt8](repeating: 0x61, count: size))
        #expect(answer.status == 413 && answer.text.contains("body of \(size) bytes"), "\(answer.text)")
      }
    }
  }

  @Test(
    arguments: [
      ([], 200), ([("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "same-site")], 200),
      ([("Origin", "https://127.0.0.1:8443"), ("Sec-Fetch-Site", "cross-site")], 200),
      ([("Sec-Fetch-Site", "none")], 200), ([("Sec-Fetch-Site", "same-site")], 200),
      ([("Origin", "https://evil.example")], 403), ([("Origin", "null")], 403),
      ([("Origin", "https://localhost.evil.example")], 403), ([("Origin", "file://localhost")], 403),
      ([("Sec-Fetch-Site", "cross-site")], 403), ([("Host", "evil.example")], 403),
    ] as [([(String, String)], Int)])
  func `serves programs and pages of this machine, but no others`(
    fields: [(String, String)], status: Int
  ) async throws {
    try await withURL { url, runtime in
      var client = url
      client.host = fields.first { $0.0 == "Host" }?.1
      let headers = fields.filter { $0.0 != "Host" }.map { HeaderField(HeaderName($0.0), $0.1) }
      if status == 403 {
        return #expect(try await client.send(.GET, "/", headers: headers, body: nil).status == 403)
      }
      async let answer = client.send(.GET, "/", headers: headers, body: nil)
      let event = try await runtime.get(Self.next)
      #expect(try await runtime.post(event.responseTarget, "{}").status == 202)
      #expect(try await answer.status == status)
    }
  }

  // MARK: Complete responses

  @Test(
    arguments: [
      (#"{"statusCode":201,"headers":{"Content-Type":"text/x","X-N":7},"body":"hi"}"#, 201, "text/x", "hi"),
      (#"{"statusCode":200,"body":"R3LDvMOfZQ==","isBase64Encoded":true}"#, 200, "application/json", "Grüße"),
      (#"{"statusCode":404}"#, 404, "application/json", ""),
      (#"{"statusCode":200,"headers":null,"cookies":null,"body":null}"#, 200, "application/json", ""),
      (
        #"{"statusCode":200,"headers":{"content-length":"999","transfer-encoding":"chunked"},"body":"x"}"#,
        200,
        "application/json", "x"
      ),
      (#"{"message":"hello"}"#, 200, "application/json", #"{"message":"hello"}"#),
      (#"{"statusCode":null,"a":1}"#, 200, "application/json", #"{"statusCode":null,"a":1}"#),
      (#""hello""#, 200, "application/json", #""hello""#), ("[1]", 200, "application/json", "[1]"),
    ] as [(String, Int, String, String)])
  func `sends the function's response as HTTP`(
    response: String, status: Int, type: String, body: String
  ) async throws {
    let answer = try await answer(with: Array(response.utf8))
    #expect(answer.status == status && answer.text == body, "\(answer.text)")
    #expect(answer.header("Content-Type") == type)
    #expect(answer.header("Content-Length") == "\(body.utf8.count)")
    #expect(answer.header("X-Amzn-RequestId")?.utf8.count == 36)
  }

  @Test func `sends each cookie in a separate header`() async throws {
    let response =
      #"{"statusCode":200,"headers":{"Set-Cookie":"z=0"},"cookies":["a=1; Secure","b=2"],"body":""}"#
    let answer = try await answer(with: Array(response.utf8))
    let cookies = answer.headers.filter { $0.name == "Set-Cookie" }.map(\.value)
    #expect(cookies == ["z=0", "a=1; Secure", "b=2"])
  }

  @Test(
    arguments: [(.HEAD, 200, "5"), (.GET, 204, nil), (.GET, 304, nil), (.HEAD, 204, nil)]
      as [(
        HTTPMethod, Int, String?
      )])
  func `sends no body if HTTP doesn't allow one`(method: HTTPMethod, status: Int, length: String?)
    async throws
  {
    let response = #"{"statusCode":\#(status),"body":"hello"}"#
    let answer = try await answer(with: Array(response.utf8), to: method)
    #expect(answer.status == status && answer.body == [])
    #expect(answer.header("Content-Length") == length)
  }

  @Test(
    arguments: [
      ("hello", "it isn't JSON (5 bytes: hello)"), ("", "it isn't JSON (0 bytes"),
      (#"{"statusCode":"200"}"#, #"statusCode is a string ("200"). It must be a number"#),
      (#"{"statusCode":99}"#, "statusCode is 99. Use a number from 200 to 599"),
      (#"{"statusCode":101}"#, "statusCode is 101"), (#"{"statusCode":600}"#, "statusCode is 600"),
      (#"{"statusCode":2e9}"#, "statusCode is a number (2e9)"),
      (#"{"statusCode":200,"headers":[]}"#, "headers is an array ([]). It must be an object of strings"),
      (
        #"{"statusCode":200,"headers":{"a":["x"]}}"#,
        #"the header 'a' is an array (["x"]). It must be a string"#
      ),
      (#"{"statusCode":200,"headers":{"a b":"x"}}"#, "'a b' isn't the name of a header"),
      (#"{"statusCode":200,"headers":{"":"x"}}"#, "'' isn't the name of a header"),
      (
        #"{"statusCode":200,"headers":{"a":"x\r\nb: c"}}"#,
        "the value of the header 'a' has a control character"
      ),
      (
        #"{"statusCode":200,"cookies":"a=1"}"#,
        #"cookies is a string ("a=1"). It must be an array of strings"#
      ),
      (#"{"statusCode":200,"cookies":["a\n"]}"#, "'Set-Cookie' has a control character"),
      (#"{"statusCode":200,"body":{"a":1}}"#, #"body is an object ({"a":1}). It must be a string; encode"#),
      (
        #"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
        "isBase64Encoded is true, but body isn't Base64 (%)"
      ),
    ])
  func `answers 502 with the reason if the response can't be sent`(
    response: String, reason: String
  ) async throws {
    let notices = Mutex<[String]>([])
    let answer = try await answer(with: Array(response.utf8)) { event in
      if case .notice(let text) = event { notices.withLock { $0.append(text) } }
    }
    #expect(answer.status == 502)
    let message = try #require(try answer.json["message"]?.string)
    #expect(message.contains(reason), "\(message)")
    #expect(notices.withLock { $0 } == ["the function URL answered 502: \(message)"])
  }

  @Test func `answers 502 with the function's error`() async throws {
    try await withURL { url, runtime in
      async let answer = url.get("/")
      let event = try await runtime.get(Self.next)
      let document = #"{"errorMessage":"no","errorType":"Function.No"}"#
      #expect(try await runtime.post(event.errorTarget, document).status == 202)
      let received = try await answer
      #expect(received.status == 502)
      #expect(try received.json["message"]?.string == "The function failed: Function.No: no")
    }
  }

  // MARK: Streamed responses

  private static let prelude = "application/vnd.awslambda.http-integration-response"

  /// Sends a streamed response to the runtime's event, and returns what the client received; nil if its connection broke.
  private func stream(
    _ pieces: [[UInt8]], type: String, trailers: HTTPHeaders? = nil
  ) async throws -> HTTPTestClient.Response? {
    let received = Mutex<HTTPTestClient.Response?>(nil)
    try await withURL { url, runtime in
      let answer = Task { try await url.get("/") }
      let event = try await runtime.get(Self.next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"), HeaderField("Content-Type", type),
      ]
      _ = try await runtime.exchange(.POST, event.responseTarget, headers) { writer in
        for piece in pieces { try await writer.write(.body(.byteBuffer(ByteBuffer(bytes: piece)))) }
        try await writer.write(.end(trailers))
      }
      let complete = try? await answer.value
      received.withLock { $0 = complete }
    }
    return received.withLock { $0 }
  }

  @Test func `streams a response without a prelude as it is`() async throws {
    let answer = try #require(try await stream([Array("one ".utf8), Array("two".utf8)], type: "text/x"))
    #expect(answer.status == 200 && answer.text == "one two" && answer.header("Content-Type") == "text/x")
    #expect(answer.header("Transfer-Encoding") == "chunked")
  }

  @Test(arguments: [1, 7, 1_000])
  func `takes the status and the headers of a stream from its prelude`(size: Int) async throws {
    let head = #"{"statusCode":202,"headers":{"Content-Type":"text/html","X-A":"1"},"cookies":["a=1"]}"#
    let all = Array(head.utf8) + [UInt8](repeating: 0, count: 8) + Array("body\0\0".utf8)
    let pieces = stride(from: 0, to: all.count, by: size).map { Array(all[$0..<min($0 + size, all.count)]) }
    let answer = try #require(try await stream(pieces, type: Self.prelude))
    #expect(answer.status == 202 && answer.text == "body\0\0")
    #expect(answer.header("Content-Type") == "text/html" && answer.header("X-A") == "1")
    #expect(answer.header("Set-Cookie") == "a=1")
  }

  @Test func `passes a stream's pieces on before its end`() async throws {
    try await withURL { url, runtime in
      let (pieces, arrived) = AsyncStream.makeStream(of: String.self)
      let client = Task { try await url.get("/") { arrived.yield($0) } }
      let event = try await runtime.get(Self.next)
      let headers = [
        HeaderField("Lambda-Runtime-Function-Response-Mode", "streaming"),
        HeaderField("Transfer-Encoding", "chunked"), HeaderField("Content-Type", Self.prelude),
      ]
      _ = try await runtime.exchange(.POST, event.responseTarget, headers) { writer in
        var received = pieces.makeAsyncIterator()
        try await writer.write(.body(.byteBuffer(ByteBuffer(string: "{}\0\0\0\0\0\0\0\0"))))
        for text in ["one", "two"] {
          try await writer.write(.body(.byteBuffer(ByteBuffer(string: text))))
          #expect(await received.next() == text)
        }
        try await writer.write(.end(nil))
      }
      #expect(try await client.value.text == "onetwo")
    }
  }

  @Test(
    arguments: [
      (#"{"statusCode":200}"#, "it ended after 18 bytes, before the end of the prelude"),
      ("{}\0\0\0\0body", "fewer than eight NUL bytes follow the prelude's JSON (at byte 2)"),
      ("[]\0\0\0\0\0\0\0\0", "its prelude isn't a JSON object ([])"),
      ("\0\0\0\0\0\0\0\0", "its prelude isn't a JSON object ()"),
      ("{\"statusCode\":7}\0\0\0\0\0\0\0\0", "statusCode is 7"), ("", "it ended after 0 bytes"),
      (String(repeating: "7", count: 65_537), "first 65536 bytes don't contain the end of the prelude"),
      (
        "{\(String(repeating: " ", count: 65_535))}\0\0\0\0\0\0\0\0",
        "first 65536 bytes don't contain the end of the prelude"
      ),
    ])
  func `answers 502 with the reason if the prelude is invalid`(bytes: String, reason: String) async throws {
    let answer = try #require(try await stream([Array(bytes.utf8)], type: Self.prelude))
    #expect(answer.status == 502)
    #expect(try answer.json["message"]?.string?.contains(reason) == true, "\(answer.text)")
  }

  @Test func `breaks the connection if a stream fails after it has begun, and answers 502 if before`()
    async throws
  {
    let trailers: HTTPHeaders = ["Lambda-Runtime-Function-Error-Type": "Function.Late"]
    for type in ["text/x", Self.prelude] {
      let answer = try await stream([Array("{}\0\0\0\0\0\0\0\0body".utf8)], type: type, trailers: trailers)
      #expect(answer == nil, "the client got a complete response, but the function's failed")
    }
    let early = try #require(try await stream([Array("{".utf8)], type: Self.prelude, trailers: trailers))
    #expect(early.status == 502 && early.text.contains("Function.Late"), "\(early.text)")
  }
}
