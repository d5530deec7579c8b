import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

private func exchange() throws -> CurlExchange {
  try CurlExchange(ConnectionConfiguration(Environment([:])))
}

/// Returns the outcome of one request to a server that responds with `answer`.
private func outcome(
  _ answer: ScriptedServer.Answer, timeout: Duration = .seconds(5)
) throws -> Result<HTTPResponse, HTTPError> {
  let server = try ScriptedServer([answer])
  defer { server.stop() }
  let request = HTTPRequest(method: "POST", url: server.url + "/a", body: [1, 2, 3])
  let exchange = try exchange()
  return Result { () throws(HTTPError) in try exchange.exchange(request, timeout: timeout) }
}

private func failure(_ result: Result<HTTPResponse, HTTPError>) -> HTTPError? {
  guard case .failure(let error) = result else { return nil }
  return error
}

struct `An exchange` {
  @Test func `sends the request line, headers and body as given and adds only Host and Content-Length`()
    throws
  {
    let server = try ScriptedServer([.keep(httpResponse())])
    defer { server.stop() }
    let request = HTTPRequest(
      method: "POST", url: server.url + "/topics/..?q=%2F&r=a%20b",
      headers: [HeaderField("X-One", "1"), HeaderField("X-Empty", "")],
      body: [0, 13, 10, 255])
    _ = try exchange().exchange(request, timeout: .seconds(5))
    let received = try #require(server.received.first)
    #expect(received.requestLine == "POST /topics/..?q=%2F&r=a%20b HTTP/1.1")
    #expect(
      received.headerLines.sorted() == [
        "Content-Length: 4", "Host: 127.0.0.1:\(server.port)", "X-Empty:", "X-One: 1",
      ])
    #expect(received.body == [0, 13, 10, 255])
  }

  @Test(arguments: ["GET", "PUT", "DELETE", "POST"])
  func `uses the method that it was given, with an empty body`(method: String) throws {
    let server = try ScriptedServer([.keep(httpResponse(body: "x"))])
    defer { server.stop() }
    let response = try exchange().exchange(HTTPRequest(method: method, url: server.url), timeout: .seconds(5))
    #expect(response.body == Array("x".utf8))
    #expect(server.received.map(\.requestLine) == ["\(method) / HTTP/1.1"])
    #expect(server.received.map(\.body) == [[]])
  }

  @Test func `returns status, headers and body, and finds a header in any case`() throws {
    let headers = ["X-Amzn-ErrorType:  Some:thing ", "Set-Cookie: a", "set-cookie: b", "X-Nothing:"]
    let response = try outcome(.close(httpResponse("503 Busy", headers: headers, body: "late"))).get()
    #expect(response.status == 503)
    #expect(!response.isSuccess)
    #expect(response.header("x-amzn-errortype") == "Some:thing")
    #expect(response.headers.filter { $0.name == "Set-Cookie" }.map(\.value) == ["a", "b"])
    #expect(response.header("x-nothing") == "")
    #expect(response.header("absent") == nil)
    #expect(response.body == Array("late".utf8))
  }

  @Test(arguments: [301, 302, 307, 308])
  func `returns a redirect instead of following it`(status: Int) throws {
    let answer = httpResponse("\(status) Elsewhere", headers: ["Location: http://127.0.0.1:9/"])
    #expect(try outcome(.keep(answer)).get().status == status)
  }

  @Test func `skips interim responses`() throws {
    let interim = "HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\n"
    let response = try outcome(.keep(interim + httpResponse(headers: ["X-New: 2"]))).get()
    #expect(response.status == 200)
    #expect(response.header("x-old") == nil)
    #expect(response.header("x-new") == "2")
  }

  @Test func `reads a chunked body`() throws {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    #expect(try outcome(.keep(answer)).get().body == Array("abc".utf8))
  }

  @Test func `uses one connection for several requests`() throws {
    let server = try ScriptedServer([.keep(httpResponse()), .keep(httpResponse()), .keep(httpResponse())])
    defer { server.stop() }
    let exchange = try exchange()
    for _ in 1...3 {
      _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
    }
    #expect(server.received.map(\.connection) == [1, 1, 1])
  }

  @Test func `opens a new connection if the server closed the old one`() throws {
    let server = try ScriptedServer([.close(httpResponse()), .keep(httpResponse())])
    defer { server.stop() }
    let exchange = try exchange()
    for _ in 1...2 {
      _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
      try #require(server.waitUntilClosed(1))
    }
    #expect(server.received.map(\.connection) == [1, 2])
  }

  @Test func `sends a request only once, even if a reused connection breaks`() throws {
    let server = try ScriptedServer([.keep(httpResponse()), .reset(""), .keep(httpResponse())])
    defer { server.stop() }
    let exchange = try exchange()
    let request = HTTPRequest(method: "POST", url: server.url, body: [1])
    _ = try exchange.exchange(request, timeout: .seconds(5))
    #expect {
      try exchange.exchange(request, timeout: .seconds(5))
    } throws: { error in
      guard case .connectionLost = error as? HTTPError else { return false }
      return true
    }
    #expect(server.received.count == 2)
    _ = try exchange.exchange(request, timeout: .seconds(5))
  }

  /// The options of one request must not affect the next one, whether that has the same options or others.
  @Test func `sends each request unaffected by the previous one`() throws {
    let plan: [(method: String, path: String, body: [UInt8], header: String)] = [
      ("POST", "/1", [1, 2, 3], "a"), ("POST", "/22", [], "b"), ("GET", "/3", [], "c"),
      ("GET", "/4", [4], "d"),
      ("PUT", "/5", [5], "e"), ("GET", "/6", [], "f"),
      ("POST", "/7", Array(repeating: 7, count: 70_000), "g"),
      ("POST", "/8", [8], "h"), ("DELETE", "/9", [], "i"),
    ]
    let server = try ScriptedServer(
      plan.map { .keep(httpResponse(headers: ["X-Path: \($0.path)"], body: $0.path)) })
    defer { server.stop() }
    let exchange = try exchange()
    for step in plan {
      let response = try exchange.exchange(
        HTTPRequest(
          method: step.method, url: server.url + step.path, headers: [HeaderField("X-Step", step.header)],
          body: step.body),
        timeout: .seconds(5))
      #expect(response.headers.filter { $0.name == "X-Path" }.map(\.value) == [step.path])
      #expect(response.body == Array(step.path.utf8))
    }
    #expect(server.received.map(\.requestLine) == plan.map { "\($0.method) \($0.path) HTTP/1.1" })
    #expect(server.received.map(\.body) == plan.map(\.body))
    #expect(server.received.map { $0.header("X-Step") } == plan.map(\.header))
    #expect(
      server.received.allSatisfy { $0.headerLines.count == ($0.header("Content-Length") == nil ? 2 : 3) })
    #expect(Set(server.received.map(\.connection)) == [1])
  }

  @Test func `is usable after a failure`() throws {
    let server = try ScriptedServer([.hang, .keep(httpResponse(body: "y"))])
    defer { server.stop() }
    let exchange = try exchange()
    #expect(throws: HTTPError.self) {
      try exchange.exchange(
        HTTPRequest(method: "POST", url: server.url, body: [1]), timeout: .milliseconds(50))
    }
    let response = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
    #expect(response.body == Array("y".utf8))
  }
}

struct `A failed exchange` {
  @Test func `reports that the answer was empty`() throws {
    guard case .emptyResponse = failure(try outcome(.close(""))) else {
      Issue.record("not an empty answer")
      return
    }
  }

  @Test(arguments: [
    ScriptedServer.Answer.reset(""), .close("HTTP/1.1 200 OK\r\n"),
    .close("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    .close("HTTP/1.1 200 OK\r\nConte"), .reset("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    .close("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
  ])
  func `reports that the connection was lost`(answer: ScriptedServer.Answer) throws {
    guard case .connectionLost = failure(try outcome(answer)) else {
      Issue.record("not a lost connection")
      return
    }
  }

  @Test(arguments: ["garbage\r\n\r\n", "\u{0}\u{1}\u{2}", "HTTP/9.9 200 OK\r\n\r\n", "{}"])
  func `reports that the answer was not HTTP`(text: String) throws {
    let result = try outcome(.close(text))
    guard case .malformedResponse = failure(result) else {
      Issue.record("\(result)")
      return
    }
  }

  @Test(arguments: [ScriptedServer.Answer.hang, .drip(httpResponse(), pause: 100)])
  func `reports that no answer arrived in time`(answer: ScriptedServer.Answer) throws {
    guard case .timedOut(.answering, _) = failure(try outcome(answer, timeout: .seconds(1))) else {
      Issue.record("not a timeout")
      return
    }
  }

  @Test func `reports that the body or the head was too large`() throws {
    let endless = "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 70_000)
    #expect(failure(try outcome(.flood(endless))) == .responseTooLarge(.body, limit: 1_048_576))
    let wide = "HTTP/1.1 200 OK\r\n" + String(repeating: "X-A: 0123456789\r\n", count: 5_000)
    #expect(failure(try outcome(.flood(wide))) == .responseTooLarge(.head, limit: 65_536))
    let interim = "HTTP/1.1 100 Continue\r\n\r\n"
    #expect(failure(try outcome(.flood(interim))) == .responseTooLarge(.head, limit: 65_536))
    let long = "HTTP/1.1 200 OK\r\nX-A: " + String(repeating: "x", count: 200_000)
    #expect(failure(try outcome(.flood(long))) == .responseTooLarge(.head, limit: 102_400))
  }

  @Test func `reports a stop request long before its timeout`() throws {
    let server = try ScriptedServer([.hang])
    defer { server.stop() }
    let exchange = try CurlExchange(
      ConnectionConfiguration(Environment([:])), isStopRequested: { !server.received.isEmpty })
    let start = BootTime.now
    #expect(throws: HTTPError.stopped) {
      try exchange.exchange(HTTPRequest(method: "POST", url: server.url, body: [1]), timeout: .seconds(60))
    }
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test func `reports that nothing listens`() throws {
    let request = HTTPRequest(method: "GET", url: "http://127.0.0.1:\(try freePort())")
    #expect {
      try exchange().exchange(request, timeout: .seconds(5))
    } throws: { error in
      guard case .notConnected = error as? HTTPError else { return false }
      return true
    }
  }

  @Test func `reports that no time was left, without sending`() throws {
    let server = try ScriptedServer([])
    defer { server.stop() }
    for timeout in [Duration.zero, .seconds(-1)] {
      #expect(throws: HTTPError.timedOut(.connecting, "the deadline had already passed")) {
        try exchange().exchange(HTTPRequest(method: "GET", url: server.url), timeout: timeout)
      }
    }
    #expect(server.received.isEmpty)
  }

  @Test(arguments: [
    HTTPRequest(method: "GET", url: ""), HTTPRequest(method: "GET", url: "file:///etc/passwd"),
    HTTPRequest(method: "GET", url: "ftp://127.0.0.1/"),
    HTTPRequest(method: "GET", url: "http://a:b@127.0.0.1/"),
    HTTPRequest(method: "GET", url: "http://127.0.0.1:99999/"),
    HTTPRequest(method: "GET", url: "http://\u{0}/"),
    HTTPRequest(method: "GET /x HTTP/1.1\r\nA: b", url: "http://127.0.0.1/"),
    HTTPRequest(method: "", url: "http://127.0.0.1/"),
    HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [HeaderField("A", "b\r\nC: d")]),
    HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [HeaderField("A", "b\u{0}")]),
    HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [HeaderField("A: b\r\nC", "d")]),
    HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [HeaderField("", "d")]),
  ])
  func `reports that the request is invalid`(request: HTTPRequest) throws {
    #expect {
      try exchange().exchange(request, timeout: .seconds(5))
    } throws: { error in
      guard case .invalidRequest = error as? HTTPError else { return false }
      return true
    }
  }

  @Test func `names the certificate file that can't be used`() throws {
    let server = try ScriptedServer([])
    defer { server.stop() }
    let environment = Environment(["AWS_CA_BUNDLE": "/nonexistent/ca.pem"])
    let exchange = try CurlExchange(ConnectionConfiguration(environment))
    #expect {
      let request = HTTPRequest(method: "GET", url: "https://127.0.0.1:\(server.port)/")
      return try exchange.exchange(request, timeout: .seconds(5))
    } throws: { error in
      "\(error)".contains("AWS_CA_BUNDLE") && "\(error)".contains("/nonexistent/ca.pem")
    }
  }

  @Test(arguments: ["AWS_CA_BUNDLE", "the certificate", "the private key"])
  func `doesn't wait for a file that isn't regular`(name: String) throws {
    let directory = try TemporaryDirectory()
    let pipe = try directory.makePipe("pipe")
    let file = try directory.write("file", "")
    var configuration = ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": file]))
    switch name {
    case "the certificate": configuration.identity = ClientIdentity(certificateFile: pipe, keyFile: file)
    case "the private key": configuration.identity = ClientIdentity(certificateFile: file, keyFile: pipe)
    default: configuration.trust = .file(path: pipe, namedBy: name)
    }
    let server = try ScriptedServer([])
    defer { server.stop() }
    let exchange = try CurlExchange(configuration)
    #expect {
      let request = HTTPRequest(method: "GET", url: "https://127.0.0.1:\(server.port)/")
      return try exchange.exchange(request, timeout: .seconds(5))
    } throws: { error in
      guard case .unusableFile(let reason) = error as? HTTPError else { return false }
      return reason.contains(name) && reason.contains("'\(pipe)', isn't a regular file")
    }
    #expect(CertificateSummary(pemFile: pipe) == nil)
  }

  @Test func `reports a server that doesn't use TLS`() throws {
    let server = try ScriptedServer([.close("HTTP/1.1 200 OK\r\n\r\n")])
    defer { server.stop() }
    #expect(throws: HTTPError.self) {
      let request = HTTPRequest(method: "GET", url: "https://127.0.0.1:\(server.port)/")
      return try exchange().exchange(request, timeout: .milliseconds(500))
    }
  }
}
