import HTTPClient
import Platform
import TestSupport
import Testing

private let names = "DNS:localhost,IP:127.0.0.1"
private var time: SystemWaiter { SystemWaiter(shutdown: nil) }

private func soon(_ duration: Duration = .seconds(5)) -> BootTime { time.bootTime.advanced(by: duration) }

/// Connects to `server`, whose certificate `authority` issued.
private func connect(
  _ server: ScriptedServer, _ authority: ThrowawayAuthority,
  _ change: (inout ConnectionConfiguration) -> Void = { _ in }
) throws -> CurlConnection {
  var configuration = ConnectionConfiguration(
    Environment(["AWS_CA_BUNDLE": authority.certificateFile]))
  change(&configuration)
  return try CurlConnection(
    to: "https://localhost:\(server.port)", configuration, time: time, until: soon())
}

private func received(_ connection: CurlConnection, until deadline: BootTime = soon()) throws -> String {
  var bytes: [UInt8] = []
  _ = try connection.receive(into: &bytes, limit: 4_096, until: deadline)
  return String(decoding: bytes, as: UTF8.self)
}

struct `A connection` {
  @Test func `carries bytes both ways, with the requested certificate and protocol`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep("one"), .close("two")],
      tls: TLSServerContext(
        authority.issue("server", names: names), clientAuthority: authority.certificateFile,
        protocols: ["x-amzn-mqtt-ca"]))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    let connection = try connect(server, authority) { configuration in
      configuration.applicationProtocol = "x-amzn-mqtt-ca"
      configuration.identity = ClientIdentity(
        certificateFile: device.certificateFile, keyFile: device.keyFile)
    }
    try connection.send(Array("a\0b\r\n\r\n".utf8), until: soon())
    #expect(try received(connection) == "one")
    try connection.send(Array("c\r\n\r\n".utf8), until: soon())
    #expect(try received(connection) == "two")
    // The server has closed the connection.
    #expect(try received(connection) == "")
    #expect(server.received.map(\.text) == ["a\0b\r\n\r\n", "c\r\n\r\n"])
    #expect(
      server.received.first?.handshake
        == TLSHandshake(serverName: "localhost", applicationProtocol: "x-amzn-mqtt-ca", clientName: "device"))
  }

  @Test func `is unencrypted if the URL's scheme is http`() throws {
    let server = try ScriptedServer([.keep("one")])
    defer { server.stop() }
    let connection = try CurlConnection(
      to: server.url, ConnectionConfiguration(Environment([:])), time: time, until: soon())
    try connection.send(Array("x\r\n\r\n".utf8), until: soon())
    #expect(try received(connection) == "one")
  }

  @Test func `fails if no trusted authority certifies the server`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer([], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let stranger = try ThrowawayAuthority()
    #expect {
      _ = try connect(server, stranger)
    } throws: { error in
      guard case .notTrusted = error as? HTTPError else { return false }
      return true
    }
  }

  @Test func `fails if nothing listens on the port, or if no time is left`() throws {
    let url = "http://127.0.0.1:\(try freePort())"
    let configuration = ConnectionConfiguration(Environment([:]))
    #expect {
      _ = try CurlConnection(to: url, configuration, time: time, until: soon())
    } throws: { error in
      guard case .notConnected = error as? HTTPError else { return false }
      return true
    }
    #expect(throws: HTTPError.timedOut(.connecting, "the deadline had already passed")) {
      try CurlConnection(to: url, configuration, time: time, until: time.bootTime)
    }
  }

  @Test func `waits for an answer until the deadline, and remains usable`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.hang, .keep("late")], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let connection = try connect(server, authority)
    try connection.send(Array("a\r\n\r\n".utf8), until: soon())
    let deadline = soon(.milliseconds(50))
    #expect(throws: HTTPError.timedOut(.answering, "the deadline passed")) {
      try received(connection, until: deadline)
    }
    #expect(time.bootTime >= deadline)
    try connection.send(Array("b\r\n\r\n".utf8), until: soon())
    #expect(try received(connection) == "late")
  }

  @Test func `waits briefly for an answer after a stop request`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep("one"), .hang], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let stop = try StopSwitch()
    let stoppable = SystemWaiter(shutdown: try stop.signal())
    let connection = try CurlConnection(
      to: "https://localhost:\(server.port)",
      ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": authority.certificateFile])), time: stoppable,
      until: soon())
    try connection.send(Array("a\r\n\r\n".utf8), until: soon())
    stop.stop()
    let begin = time.bootTime
    var bytes: [UInt8] = []
    #expect(try connection.receive(into: &bytes, limit: 4_096, until: soon(.seconds(600))) == 3)
    try connection.send(Array("b\r\n\r\n".utf8), until: soon())
    #expect(throws: HTTPError.stopped) {
      try connection.receive(into: &bytes, limit: 4_096, until: soon(.seconds(600)))
    }
    #expect(begin.duration(to: time.bootTime) < .seconds(300))
  }

  @Test func `isn't opened after a stop request`() throws {
    let server = try ScriptedServer([.hang])
    defer { server.stop() }
    let stop = try StopSwitch()
    stop.stop()
    let stoppable = SystemWaiter(shutdown: try stop.signal())
    // The server doesn't use TLS, so it never answers the handshake.
    #expect(throws: HTTPError.stopped) {
      _ = try CurlConnection(
        to: "https://127.0.0.1:\(server.port)", ConnectionConfiguration(Environment([:])),
        time: stoppable, until: soon(.seconds(600)))
    }
  }

  @Test func `stops sending at the deadline if the server doesn't read`() throws {
    let authority = try ThrowawayAuthority()
    // The server would keep reading, because only an empty line ends a request. While it sends a flood, it doesn't
    // read.
    let server = try ScriptedServer(
      [.flood(String(repeating: "x", count: 65_536))],
      tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let connection = try connect(server, authority)
    try connection.send(Array("a\r\n\r\n".utf8), until: soon())
    let deadline = soon(.milliseconds(300))
    #expect(throws: HTTPError.timedOut(.answering, "the deadline passed")) {
      try connection.send([UInt8](repeating: 1, count: 64 << 20), until: deadline)
    }
  }

  @Test func `survives writing to a server that has closed the connection`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.close("")], tls: TLSServerContext(authority.issue("server", names: names)))
    let connection = try connect(server, authority)
    try connection.send(Array("a\r\n\r\n".utf8), until: soon())
    server.stop()
    // The first write finds the socket open and causes a reset; the next would raise SIGPIPE.
    #expect {
      for _ in 0..<100 { try connection.send([UInt8](repeating: 1, count: 65_536), until: soon()) }
    } throws: { error in
      guard case .connectionLost = error as? HTTPError else { return false }
      return true
    }
  }
}
