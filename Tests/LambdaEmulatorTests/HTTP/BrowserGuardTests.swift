import LambdaEmulator
import NIOHTTP1
import Platform
import TestSupport
import Testing
import WireFormats

/// Tests with requests that a web page could make the browser of the emulator's user send.
@Suite(.ownThreads, .timeLimit(.minutes(20))) struct `The emulator's browser guard` {
  private static let invoke = "/2015-03-31/functions/function/invocations"
  private static let next = "/2018-06-01/runtime/invocation/next"

  /// A request to each endpoint of the emulator.
  private static let entrances = [
    ("POST", invoke), ("GET", next), ("POST", "/2018-06-01/runtime/init/error"), ("POST", "/topics/a?qos=1"),
    ("GET", "/things/a/shadow"), ("GET", "/"), ("OPTIONS", invoke),
  ]

  private func withEmulator(_ body: @Sendable (HTTPTestClient) async throws -> Void) async throws {
    let directory = try TemporaryDirectory()
    let function = FunctionConfiguration(
      bootstrap: try directory.executable("exec sleep 600"), timeout: .seconds(60))
    try await Emulator.run(Emulator.Configuration(function: function), report: { _ in }) { emulator in
      try await body(HTTPTestClient(port: emulator.port))
    }
  }

  @Test(
    arguments: [
      "evil.example", "evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example",
      "127.0.0.1@evil.example",
      "127.0.0.1:80@evil.example", "127.evil.0.1", "127.0.0.256", "127.0.0.0001", "127.0.0", "127.1",
      "127.0.0.1.",
      "0.0.0.0", "10.0.0.1", "[::]", "[::2]", "[::1", "[::1].evil.example", "::1", "localhost:port",
      "localhost:99999", "localhos", ".localhost", "a..localhost", "a@b.localhost", "notlocalhost", "", " ",
      "2130706433", "127.0.0.01", "127.0.0.0x1", "127.0x0.0.1", "localhost..", "[::1].", "[::1]:0",
      "[::1%25lo]",
      "http://localhost", "localhost/", "localhost?", "localhost#", "//localhost", "user@localhost",
      "@localhost",
      "localhost:80:80", "localhost:+80", "lo%63alhost", "127.0.0.1:-1", "[127.0.0.1]", "[localhost]",
      "localhost\\",
    ])
  func `rejects a Host that doesn't name this machine`(host: String) async throws {
    try await withEmulator { client in
      var client = client
      client.host = host
      for (method, target) in Self.entrances {
        let answer = try await client.send(.init(rawValue: method), target, body: nil)
        #expect(answer.status == 403, "\(method) \(target)")
        #expect(answer.text.contains("Host"), "\(answer.text)")
      }
    }
  }

  @Test(arguments: [
    "localhost", "LocalHost:9000", "localhost.", "localhost:", "foo.localhost", "A.b-1.localhost.:80",
    "[::1]:", "127.0.0.1", "127.0.0.1:1", "127.255.255.255:65535", "[::1]",
    "[::1]:80", "[0:0:0:0:0:0:0:1]:9000", "127.0.0.1:",
  ])
  func `accepts every name of this machine`(host: String) async throws {
    try await withEmulator { client in
      var client = client
      client.host = host
      let answer = try await client.get("/2018-06-01/ping")
      #expect(answer.status == 200)
    }
  }

  @Test(arguments: [
    ("http://127.0.0.1/2018-06-01/ping", 200), ("HTTP://LOCALHOST:9000/2018-06-01/ping?a=http://b/", 200),
    ("http://[::1]:1/2018-06-01/ping", 200), ("http://localhost", 404), ("http://localhost?a", 404),
    ("http://evil.example/2018-06-01/ping", 403), ("http://evil.example:80?127.0.0.1/2018-06-01/ping", 403),
    ("http://127.0.0.1@evil.example/2018-06-01/ping", 403), ("http:///2018-06-01/ping", 403),
  ])
  func `checks the host of a target in absolute form`(target: String, status: Int) async throws {
    try await withEmulator { client in
      let answer = try await client.get(target)
      #expect(answer.status == status, "\(answer.text)")
    }
  }

  @Test(
    arguments: [
      ("Origin", "https://evil.example"), ("Origin", "null"), ("Origin", "http://localhost:3000"),
      ("Origin", "https://127.0.0.1"), ("Origin", ""), ("Sec-Fetch-Site", "cross-site"),
      ("Sec-Fetch-Site", "same-site"), ("Host", "127.0.0.1"),
    ])
  func `rejects pages of another origin`(name: String, value: String) async throws {
    try await withEmulator { client in
      for (method, target) in Self.entrances {
        let answer = try await client.send(
          .init(rawValue: method), target, headers: [HeaderField(HeaderName(name), value)], body: nil)
        #expect(answer.status == 403, "\(method) \(target)")
        #expect(answer.text.contains(name), "\(answer.text)")
        #expect(answer.header("Access-Control-Allow-Origin") == nil)
      }
    }
  }

  @Test(arguments: ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
  func `rejects invocations by any method but POST`(method: String) async throws {
    try await withEmulator { client in
      let answer = try await client.send(.init(rawValue: method), Self.invoke, body: nil)
      #expect(answer.status == 405 && answer.header("Allow") == "POST")
      // The rejected request created no event: the first event is the one posted here.
      async let posted = client.post(Self.invoke, "1")
      let event = try await client.get(Self.next)
      #expect(event.text == "1")
      let id = try #require(event.header("Lambda-Runtime-Aws-Request-Id"))
      #expect(try await client.post("/2018-06-01/runtime/invocation/\(id)/response", "2").status == 202)
      #expect(try await posted.text == "2")
    }
  }

  /// The headers that these programs send, with irrelevant values shortened.
  private static let programs: [(String, [(String, String)])] = [
    (
      "curl 7.88.1",
      [
        ("User-Agent", "curl/7.88.1"), ("Accept", "*/*"),
        ("Content-Type", "application/x-www-form-urlencoded"),
      ]
    ),
    (
      "AWS CLI 2, botocore",
      [
        ("X-Amz-Invocation-Type", "RequestResponse"),
        ("User-Agent", "aws-cli/2.15 botocore/2.4 md/prompt#off"),
        ("X-Amz-Date", "20260102T030405Z"), ("Authorization", "AWS4-HMAC-SHA256 Credential=A"),
        ("Accept-Encoding", "identity"),
      ]
    ),
    (
      "AWS SDK for JavaScript 3",
      [
        ("content-type", "application/octet-stream"), ("x-amz-user-agent", "aws-sdk-js/3.500"),
        ("amz-sdk-invocation-id", "0"), ("amz-sdk-request", "attempt=1; max=3"), ("Connection", "keep-alive"),
      ]
    ),
    (
      "Python urllib",
      [("User-Agent", "Python-urllib/3.11"), ("Content-Type", "application/json"), ("Connection", "close")]
    ),
    // A page that the emulator itself would serve. There is none so far.
    ("same origin", [("Origin", "http://localhost:9000"), ("Sec-Fetch-Site", "same-origin")]),
    ("typed", [("Sec-Fetch-Site", "none")]),
  ]

  @Test(arguments: programs.indices)
  func `accepts requests of AWS clients, curl and Python`(index: Int) async throws {
    let (name, headers) = Self.programs[index]
    try await withEmulator { client in
      var caller = client
      caller.host = "localhost:9000"
      let calling = caller
      async let answer = calling.post(
        Self.invoke, "{}", headers: headers.map { HeaderField(HeaderName($0), $1) })
      let event = try await client.get(Self.next)
      let id = try #require(event.header("Lambda-Runtime-Aws-Request-Id"))
      #expect(try await client.post("/2018-06-01/runtime/invocation/\(id)/response", "3").status == 202)
      let received = try await answer
      #expect(received.status == 200 && received.text == "3", "\(name): \(received.text)")
    }
  }
}
