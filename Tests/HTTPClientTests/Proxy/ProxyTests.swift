import HTTPClient
import Platform
import TestSupport
import Testing

struct `A proxy` {
  private func get(_ url: String, _ variables: [String: String]) throws -> HTTPResponse {
    // Requests over http use a proxy only if they may leave the machine.
    let exchange = try CurlExchange(
      ConnectionConfiguration(Environment(variables), allowsPlainHTTP: true))
    return try exchange.exchange(HTTPRequest(method: "GET", url: url), timeout: .seconds(5))
  }

  @Test(arguments: ["https_proxy", "HTTPS_PROXY"])
  func `receives a CONNECT with its own credentials and none of ours`(variable: String) throws {
    let proxy = try ScriptedServer([.close(httpResponse("407 Proxy Authentication Required"))])
    defer { proxy.stop() }
    let url = "http://user:pa%20ss@127.0.0.1:\(proxy.port)"
    #expect {
      try get("https://iot.example.com/topics/a", [variable: url])
    } throws: { error in
      guard case .proxyRefused(407, _) = error as? HTTPError else { return false }
      return !"\(error)".contains("pa%20ss") && !"\(error)".contains("pa ss")
    }
    let received = try #require(proxy.received.first)
    #expect(received.requestLine == "CONNECT iot.example.com:443 HTTP/1.1")
    // Base64 of "user:pa ss".
    #expect(received.header("Proxy-Authorization") == "Basic dXNlcjpwYSBzcw==")
  }

  @Test func `carries a TLS connection that is verified end to end`() throws {
    let authority = try ThrowawayAuthority()
    // The proxy answers "connected", but what follows isn't TLS.
    let proxy = try ScriptedServer([.close("HTTP/1.1 200 Connected\r\n\r\ngarbage")])
    defer { proxy.stop() }
    #expect {
      try get(
        "https://iot.example.com/",
        ["HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)", "AWS_CA_BUNDLE": authority.certificateFile])
    } throws: { error in
      guard case .handshakeFailed = error as? HTTPError else { return false }
      return true
    }
  }

  @Test func `isn't used for http if it is for https`() throws {
    let server = try ScriptedServer([.keep(httpResponse())])
    defer { server.stop() }
    #expect(try get(server.url, ["HTTPS_PROXY": "http://127.0.0.1:1"]).status == 200)
  }

  @Test func `receives the whole URL for http`() throws {
    let proxy = try ScriptedServer([.keep(httpResponse())])
    defer { proxy.stop() }
    _ = try get("http://iot.example.com/a", ["http_proxy": "http://127.0.0.1:\(proxy.port)"])
    #expect(proxy.received.first?.requestLine == "GET http://iot.example.com/a HTTP/1.1")
  }

  @Test(arguments: ["127.0.0.1", "example.com,127.0.0.1", "*", "127.0.0.0/8"])
  func `is bypassed for the hosts in NO_PROXY`(exceptions: String) throws {
    let server = try ScriptedServer([.keep(httpResponse())])
    defer { server.stop() }
    let variables = ["http_proxy": "http://127.0.0.1:1", "NO_PROXY": exceptions]
    #expect(try get(server.url, variables).status == 200)
  }

  /// URLs that libcurl would show completely in its error.
  @Test(arguments: [
    "http://user:hunter2@127.0.0.1:99999", "ftp://user:hunter2@127.0.0.1:1",
    "http://user:hunter2@no such host",
    "http://user:hunter2@[::1", "user:hunter2@", "http://user:hunter2@:3128",
    "http://user:hun/hunter2@proxy:1",
    "http://hunter2#@proxy", "http://user:hunter2%zz@127.0.0.1:99999",
  ])
  func `that can't be used is an error without its password`(text: String) throws {
    #expect {
      try get("https://iot.example.com/", ["HTTPS_PROXY": text])
    } throws: { error in
      guard case .invalidProxy(let reason) = error as? HTTPError else { return false }
      return reason.lowercased().contains("proxy") && !reason.contains("hunter2")
    }
  }

  @Test(arguments: [
    ("user@127.0.0.1", "Basic dXNlcjo="), ("http://us%40er:p%3Aa%2Fs@127.0.0.1", "Basic dXNAZXI6cDphL3M="),
    ("HTTP://a:b:c@127.0.0.1", "Basic YTpiOmM="), ("127.0.0.1", nil), ("http://127.0.0.1", nil),
  ])
  func `receives the decoded user name and password`(text: String, expected: String?) throws {
    let proxy = try ScriptedServer([.keep(httpResponse())])
    defer { proxy.stop() }
    _ = try get("http://iot.example.com/a", ["http_proxy": "\(text):\(proxy.port)/"])
    #expect(proxy.received.first?.header("Proxy-Authorization") == expected)
  }

  // MARK: that can't be reached

  /// Returns why connecting to `url` fails: for an exchange, for a connection and for a trial.
  private func reasons(
    _ variables: [String: String], url: String = "https://iot.example.com",
    within timeout: Duration = .seconds(20)
  ) throws -> [String] {
    let configuration = ConnectionConfiguration(
      Environment(variables), allowsPlainHTTP: url.hasPrefix("http:"))
    let time = SystemWaiter(shutdown: nil)
    let exchange = try #require(throws: HTTPError.self) {
      try CurlExchange(configuration).exchange(HTTPRequest(method: "GET", url: url), timeout: timeout)
    }
    let connection = try #require(throws: HTTPError.self) {
      _ = try CurlConnection(
        to: url, configuration, time: time, until: time.bootTime.advanced(by: timeout))
    }
    let trial = ConnectionTrial(to: url, configuration, timeout: timeout)
    #expect(trial.failure?.step == .proxy)
    return ["\(exchange)", "\(connection)", trial.failure.map { "\($0.error)" } ?? ""]
  }

  @Test(arguments: [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY")])
  func `is named without its password if nothing listens`(scheme: String, variable: String) throws {
    let port = try freePort()
    let proxy = [variable.lowercased(): "http://user:hunter2@127.0.0.1:\(port)/"]
    for reason in try reasons(proxy, url: "\(scheme)://iot.example.com") {
      #expect(
        reason.hasPrefix("no connection through the proxy 127.0.0.1:\(port) (\(variable)): "), "\(reason)")
      #expect(reason.contains("refused") || reason.contains("connect to"))
      #expect(!reason.contains("hunter2"))
    }
  }

  @Test func `is named if it doesn't reply`() throws {
    let silent = try SilentPort()
    let proxy = ["HTTPS_PROXY": "http://127.0.0.1:\(silent.port)"]
    for reason in try reasons(proxy, within: .milliseconds(300)) {
      #expect(reason.hasPrefix("no connection through the proxy 127.0.0.1:\(silent.port) "), "\(reason)")
    }
    withExtendedLifetime(silent) {}
  }

  @Test(arguments: [ScriptedServer.Answer.hang, .close(""), .reset(""), .close("garbage\r\n\r\n")])
  func `is named if its reply is missing or isn't a proxy's`(answer: ScriptedServer.Answer) throws {
    let server = try ScriptedServer { _ in answer }
    defer { server.stop() }
    let timeout: Duration = if case .hang = answer { .milliseconds(300) } else { .seconds(20) }
    for reason in try reasons(["HTTPS_PROXY": "http://127.0.0.1:\(server.port)"], within: timeout) {
      #expect(reason.hasPrefix("no connection through the proxy 127.0.0.1:\(server.port) "), "\(reason)")
    }
  }

  @Test(arguments: ["", "iot.example.com", "*"])
  func `isn't blamed for a host that it isn't used for`(exceptions: String) throws {
    let port = try freePort()
    let variables = [
      "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": exceptions, "HTTP_PROXY": "127.0.0.1:2",
    ]
    var configuration = ConnectionConfiguration(Environment(variables))
    configuration.connectTo = ["iot.example.com:443:127.0.0.1:\(port)"]
    let trial = ConnectionTrial(to: "https://iot.example.com", configuration, timeout: .seconds(20))
    #expect(trial.proxy == (exceptions.isEmpty ? "127.0.0.1:1 (HTTPS_PROXY)" : nil))
    #expect(trial.failure?.step == (exceptions.isEmpty ? .proxy : .connecting))
  }

  @Test(arguments: [
    ("127.0.0.1", "127.0.0.1:1080"), ("http://a:b@127.0.0.1", "127.0.0.1:1080"),
    ("https://127.0.0.1/", "127.0.0.1:443"),
    ("http://[::1]", "[::1]:1080"), ("HTTP://[::1]:1/?x", "[::1]:1"),
    ("socks5h://127.0.0.1:1#", "127.0.0.1:1"),
  ])
  func `is described by its host and the port in use`(text: String, name: String) {
    let configuration = ConnectionConfiguration(Environment(["HTTPS_PROXY": text]))
    let trial = ConnectionTrial(to: "https://iot.example.com", configuration, timeout: .milliseconds(100))
    #expect(trial.proxy == "\(name) (HTTPS_PROXY)")
  }

  @Test func `never appears in output`() {
    let settings = ProxySettings(Environment(["HTTPS_PROXY": "http://user:hunter2@proxy"]))
    var dumped = ""
    dump(settings, to: &dumped)
    #expect(!(dumped + "\(settings)" + String(reflecting: settings)).contains("hunter2"))
  }
}

struct `Addresses` {
  @Test func `that may receive requests for credentials are loopback and those of ECS and EKS`() {
    for address: UInt32 in [0x7F00_0001, 0x7FFF_FFFF, 0xA9FE_AA02, 0xA9FE_AA17] {
      #expect(isCredentialHost(address))
    }
    for address: UInt32 in [0, 0x8000_0001, 0xA9FE_A9FE, 0xA9FE_AA03, 0xC0A8_0101, 0xFFFF_FFFF] {
      #expect(!isCredentialHost(address))
    }
    let loopback = [UInt8](repeating: 0, count: 15) + [1]
    #expect(isCredentialHost(loopback))
    #expect(isCredentialHost([0xFD, 0, 0x0E, 0xC2] + [UInt8](repeating: 0, count: 11) + [0x23]))
    #expect(!isCredentialHost([UInt8](repeating: 0, count: 16)))
    #expect(!isCredentialHost([]))
    #expect(!isCredentialHost([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 1]))
  }

  @Test func `that may not receive them are never connected to, whatever the host name`() throws {
    let server = try ScriptedServer([.keep(httpResponse()), .keep(httpResponse())])
    defer { server.stop() }
    var configuration = ConnectionConfiguration(Environment([:]))
    configuration.allowedAddresses = .credentialHosts
    configuration.connectTo = ["metadata.example.com:80:192.0.2.1:80"]
    let exchange = try CurlExchange(configuration)
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
    _ = try exchange.exchange(
      HTTPRequest(method: "GET", url: "http://localhost:\(server.port)/"), timeout: .seconds(5))
    #expect {
      let request = HTTPRequest(method: "GET", url: "http://metadata.example.com/")
      return try exchange.exchange(request, timeout: .seconds(5))
    } throws: { error in
      guard case .withoutTLS(let reason) = error as? HTTPError else { return false }
      return reason.hasPrefix("credentials must not be requested from 192.0.2.1")
    }
  }
}
