import HTTPClient
import Platform
import TestSupport
import Testing

/// A proxy that uses TLS itself and requests a certificate, and a server that requires one.
private final class SecureNetwork {
  private let authority: ThrowawayAuthority
  private let relay: Relay
  /// Requests a certificate, but doesn't require one.
  let requesting: TLSServerContext
  let front: TLSFront
  let server: ScriptedServer
  var configuration: ConnectionConfiguration

  init(_ answers: [ScriptedServer.Answer], exceptions: String = "") throws {
    let names = "DNS:localhost,IP:127.0.0.1"
    authority = try ThrowawayAuthority()
    relay = try Relay(.proxy)
    let protocols = ["x-amzn-http-ca"]
    requesting = try TLSServerContext(
      authority.issue("proxy", names: names), clientAuthority: authority.certificateFile,
      requiresClient: false, protocols: protocols)
    front = try TLSFront(requesting, before: relay.port)
    server = try ScriptedServer(
      answers,
      tls: TLSServerContext(
        authority.issue("server", names: names), clientAuthority: authority.certificateFile,
        protocols: protocols))
    let proxy = "https://localhost:\(front.port)"
    let variables = [
      "AWS_CA_BUNDLE": authority.certificateFile, "HTTPS_PROXY": proxy, "NO_PROXY": exceptions,
    ]
    configuration = ConnectionConfiguration(Environment(variables), allowsPlainHTTP: true)
    configuration.applicationProtocol = protocols.first
    let device = try authority.issue("device", names: "DNS:device")
    configuration.identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
  }

  var url: String { "https://localhost:\(server.port)/" }

  deinit {
    server.stop()
    front.stop()
    relay.stop()
  }
}

private let toProxy = TLSHandshake(serverName: "localhost", applicationProtocol: nil, clientName: nil)
private let toServer = TLSHandshake(
  serverName: "localhost", applicationProtocol: "x-amzn-http-ca", clientName: "device")

struct `A proxy that uses TLS` {
  @Test func `gets no certificate and no application protocol for requests, but the server does`() throws {
    // One request reuses a connection, and two open one.
    let network = try SecureNetwork([
      .keep(httpResponse()), .close(httpResponse(headers: ["Connection: close"])), .keep(httpResponse()),
    ])
    let exchange = try CurlExchange(network.configuration)
    for _ in 1...3 {
      let request = HTTPRequest(method: "GET", url: network.url)
      #expect(try exchange.exchange(request, timeout: .seconds(20)).status == 200)
    }
    #expect(network.server.received.map(\.connection) == [1, 1, 2])
    #expect(network.server.received.map(\.handshake) == [toServer, toServer, toServer])
    #expect(network.front.handshakes == [toProxy, toProxy])
  }

  @Test func `gets none for connections and trials`() throws {
    let network = try SecureNetwork([.keep(httpResponse())])
    let time = SystemWaiter(shutdown: nil)
    let deadline = time.bootTime.advanced(by: .seconds(20))
    let connection = try CurlConnection(
      to: network.url, network.configuration, time: time, until: deadline)
    try connection.send(Array("GET / HTTP/1.1\r\n\r\n".utf8), until: deadline)
    var bytes: [UInt8] = []
    #expect(try connection.receive(into: &bytes, limit: 1_000, until: deadline) > 0)
    #expect(network.server.received.map(\.handshake) == [toServer])
    let trial = ConnectionTrial(to: network.url, network.configuration, timeout: .seconds(20))
    #expect(trial.failure == nil)
    #expect(network.front.handshakes == [toProxy, toProxy])
  }

  @Test func `gets none for a request that it forwards`() throws {
    let network = try SecureNetwork([])
    let proxy = try ScriptedServer([.keep(httpResponse())], tls: network.requesting)
    defer { proxy.stop() }
    network.configuration.proxy = ProxySettings(
      Environment(["HTTP_PROXY": "https://localhost:\(proxy.port)"]))
    let request = HTTPRequest(method: "GET", url: "http://example.com/")
    let response = try CurlExchange(network.configuration).exchange(request, timeout: .seconds(20))
    #expect(response.status == 200)
    #expect(proxy.received.map(\.handshake) == [toProxy])
  }

  @Test func `doesn't keep the certificate from a host that is an exception`() throws {
    let network = try SecureNetwork([.keep(httpResponse())], exceptions: "localhost")
    let request = HTTPRequest(method: "GET", url: network.url)
    _ = try CurlExchange(network.configuration).exchange(request, timeout: .seconds(20))
    #expect(network.server.received.map(\.handshake) == [toServer])
    #expect(network.front.handshakes.isEmpty)
  }
}
