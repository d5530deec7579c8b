import HTTPClient
import Platform
import TestSupport
import Testing

/// State that one request must not leave behind for the next one.
struct `An exchange that is reused` {
  private func exchange(_ variables: [String: String] = [:]) throws -> CurlExchange {
    try CurlExchange(ConnectionConfiguration(Environment(variables)))
  }

  /// Sends a request with `timeout`; returns the status and the elapsed time.
  private func time(
    _ exchange: CurlExchange, _ url: String, timeout: Duration
  ) -> (status: Int?, time: Duration) {
    let start = BootTime.now
    let response = try? exchange.exchange(HTTPRequest(method: "GET", url: url), timeout: timeout)
    return (response?.status, start.duration(to: .now))
  }

  @Test(arguments: ["/a", "/b"])
  func `gives each request its own timeout, whether it is the same request or another`(path: String) throws {
    let server = try ScriptedServer([.keep(httpResponse()), .hang])
    defer { server.stop() }
    let exchange = try exchange()
    // The same request gets a shorter time limit. Another request sets the options again, with the same limit as
    // before: long enough for a busy machine to get the first response.
    let isSame = path == "/a"
    #expect(time(exchange, server.url + "/a", timeout: .seconds(isSame ? 60 : 4)).status == 200)
    let late = time(exchange, server.url + path, timeout: .seconds(isSame ? 0.5 : 4))
    #expect(late.status == nil && late.time < .seconds(20))
  }

  @Test func `continues after a request that couldn't be prepared`() throws {
    let server = try ScriptedServer([.keep(httpResponse()), .keep(httpResponse())])
    defer { server.stop() }
    let exchange = try exchange(["HTTPS_PROXY": "http://user:pa/ss@proxy:1"])
    #expect(time(exchange, server.url + "/", timeout: .seconds(60)).status == 200)
    #expect(throws: HTTPError.self) {
      try exchange.exchange(HTTPRequest(method: "GET", url: "https://localhost/"), timeout: .seconds(60))
    }
    #expect(time(exchange, server.url + "/", timeout: .seconds(60)).status == 200)
  }
}
