import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing

/// Tests that need no name server; Tests/Release/test_network.py has those that do.
struct `The resolver of an exchange` {
  private func get(_ url: String, _ exchange: CurlExchange) throws {
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: url), timeout: .seconds(20))
  }

  @Test func `is replaced only after its configuration changes`() throws {
    let server = try ScriptedServer(Array(repeating: .keep(httpResponse()), count: 6))
    defer { server.stop() }
    let directory = try TemporaryDirectory()
    var configuration = ConnectionConfiguration(Environment([:]))
    configuration.resolverFile = directory.path + "/resolv.conf"
    let exchange = try CurlExchange(configuration)
    try get(server.url, exchange)
    try get(server.url, exchange)
    try directory.write("resolv.conf", "nameserver 192.0.2.1\n")
    try get(server.url, exchange)
    try get(server.url, exchange)
    // Replaces the file as DHCP clients do, with another file of the same size.
    try directory.write("resolv.new", "nameserver 192.0.2.2\n")
    let renamed = unsafe rename(directory.path + "/resolv.new", directory.path + "/resolv.conf")
    try #require(renamed == 0)
    try get(server.url, exchange)
    try get(server.url, exchange)
    // A handle, with its resolver, keeps its connections; a new handle has none.
    #expect(server.received.map(\.connection) == [1, 1, 2, 2, 3, 3])
  }

  @Test func `is replaced after a name isn't resolved`() throws {
    let server = try ScriptedServer(Array(repeating: .keep(httpResponse()), count: 2))
    defer { server.stop() }
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    try get(server.url, exchange)
    // A label of 64 characters is invalid, so libcurl doesn't ask a name server.
    let error = #expect(throws: HTTPError.self) {
      try get("http://\(String(repeating: "a", count: 64)).invalid/", exchange)
    }
    guard case .notResolved = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    try get(server.url, exchange)
    #expect(server.received.map(\.connection) == [1, 2])
  }
}

struct `The time for connecting` {
  @Test func `starts once the address is known, and isn't extended by the time for resolving`() throws {
    let (listener, port) = try listenOnLoopback()
    defer { close(listener) }
    var configuration = ConnectionConfiguration(Environment([:]))
    configuration.connectTimeout = .milliseconds(200)
    let start = BootTime.now
    let request = HTTPRequest(method: "GET", url: "https://127.0.0.1:\(port)/")
    let exchange = try CurlExchange(configuration)
    let error = #expect(throws: HTTPError.self) { try exchange.exchange(request, timeout: .seconds(60)) }
    #expect(error?.description.contains("connecting took more than") == true, "\(String(describing: error))")
    // libcurl's own limit, for resolving and connecting, is 10.2 s.
    #expect(start.duration(to: .now) < .seconds(9))
  }

  @Test func `is the same for a connection without HTTP`() throws {
    let (listener, port) = try listenOnLoopback()
    defer { close(listener) }
    var configuration = ConnectionConfiguration(Environment([:]))
    configuration.connectTimeout = .milliseconds(200)
    let time = SystemWaiter(shutdown: nil)
    let start = BootTime.now
    let error = #expect(throws: HTTPError.self) {
      _ = try CurlConnection(
        to: "https://127.0.0.1:\(port)", configuration, time: time, until: start.advanced(by: .seconds(60)))
    }
    #expect(error?.description.contains("connecting took more than") == true, "\(String(describing: error))")
    #expect(start.duration(to: .now) < .seconds(9))
  }
}
