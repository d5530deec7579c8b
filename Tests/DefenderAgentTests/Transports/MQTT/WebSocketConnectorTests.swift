import AWSClient
import DefenderAgent
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

private final class Verifier {
  private let server: WebSocketVerifier
  let recorded = RecordedLog()
  private let time = SystemWaiter(shutdown: nil)

  init(skew: Int = 0) throws { server = try WebSocketVerifier(skew: skew) }

  /// Publishes over a connection that these credentials sign.
  func publish(_ variables: [String: String], region: String = "eu-west-1") throws -> PublishReceipt {
    let credentials = EnvironmentCredentials(
      Environment(
        server.credentials.merging(variables) { $1 }))
    let connector = try WebSocketConnector(
      try BrokerEndpoint("localhost:\(server.port)", usesWebSocket: true),
      ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": server.authority.certificateFile])),
      region: region,
      credentials: credentials, time: time, log: recorded.log())
    var settings = MQTTPublisher.Settings(clientID: "pump-7", keepAliveSeconds: 60, connection: .perReport)
    settings.delay = ReconnectDelay(first: .milliseconds(2), longest: .milliseconds(20))
    let publisher = MQTTPublisher(connector, settings, time: time, log: recorded.log())
    return try publisher.publish(
      [UInt8](repeating: 7, count: 70_000),
      to: try Topic(validating: "$aws/things/pump-7/defender/metrics/json"),
      qos: .atLeastOnce, until: time.bootTime.advanced(by: .seconds(20)))
  }

  var verdicts: [String] { get throws { try server.verdicts } }
}

@Suite(.ownThreads) struct `A signed WebSocket to the broker` {
  @Test(arguments: [[:], ["AWS_SESSION_TOKEN": "t/o+k=e n"]])
  func `has a signature that an independent verifier accepts`(variables: [String: String]) throws {
    let verifier = try Verifier()
    #expect(try verifier.publish(variables).attempts == 1)
    #expect(try verifier.verdicts == ["accepted"])
  }

  @Test(
    arguments: [
      (["AWS_SECRET_ACCESS_KEY": "wrong"], "eu-west-1"), (["AWS_ACCESS_KEY_ID": "OTHER"], "eu-west-1"),
      ([:], "us-east-1"),
    ] as [([String: String], String)])
  func `is refused with the wrong secret, key or region, and logs that once`(
    variables: [String: String], region: String
  ) throws {
    let verifier = try Verifier()
    #expect {
      try verifier.publish(variables, region: region)
    } throws: { error in
      "\(error)".contains("status 403, ForbiddenException: {\"message\":\"Forbidden\"")
        && !"\(error)".contains("s3cr3t")
    }
    #expect(try verifier.verdicts.count == 1)
  }

  @Test(arguments: [7_200, -7_200])
  func `corrects for a clock that is wrong by hours, and logs that`(skew: Int) throws {
    let verifier = try Verifier(skew: skew)
    #expect(try verifier.publish([:]).attempts == 1)
    #expect(try verifier.verdicts == ["refused: the signature's date", "accepted"])
    #expect(
      verifier.recorded.lines.contains { $0.contains("clock is 2 h") || $0.contains("clock is 1 h 59") })
  }
}

@Suite struct `A TLS connection to the broker` {
  /// Returns the TLS handshake that a server sees from a connection to an endpoint with this port.
  private func handshake(port: String) throws -> TLSHandshake? {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.close("")],
      tls: TLSServerContext(
        try authority.issue("server", names: "DNS:broker.example"),
        clientAuthority: authority.certificateFile,
        protocols: ["x-amzn-mqtt-ca"]))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    let time = SystemWaiter(shutdown: nil)
    var configuration = ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": authority.certificateFile]))
    configuration.identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
    configuration.connectTo = ["broker.example:\(port):127.0.0.1:\(server.port)"]
    let connector = TLSConnector(
      try BrokerEndpoint("broker.example:\(port)", usesWebSocket: false), configuration, time: time)
    let deadline = time.bootTime.advanced(by: .seconds(5))
    let stream = try connector.connect(until: deadline)
    try stream.write(Array("x\r\n\r\n".utf8), until: deadline)
    var bytes: [UInt8] = []
    _ = try stream.read(into: &bytes, limit: 1, until: deadline)
    return server.received.first?.handshake
  }

  @Test(arguments: [("443", "x-amzn-mqtt-ca"), ("8883", nil)] as [(String, String?)])
  func `requests AWS IoT's protocol on port 443 and none on 8883`(port: String, name: String?) throws {
    #expect(
      try handshake(port: port)
        == TLSHandshake(serverName: "broker.example", applicationProtocol: name, clientName: "device"))
  }
}

@Suite struct `The endpoint of a broker` {
  @Test(
    arguments: [
      ("h", false, "mqtts://h:8883"), ("H.Example", true, "wss://h.example:443"),
      ("h:443", false, "mqtts://h:443"),
      ("wss://h", false, "wss://h:443"), ("mqtts://h:1/", true, "mqtts://h:1"),
      ("[::1]:5", false, "mqtts://[::1]:5"),
      ("MQTT://127.0.0.1", false, "mqtt://127.0.0.1:1883"),
    ])
  func `accepts hosts with and without port and scheme`(text: String, usesWebSocket: Bool, expected: String)
    throws
  {
    #expect(try BrokerEndpoint(text, usesWebSocket: usesWebSocket).description == expected)
  }

  @Test(
    arguments: [
      ("", "no host"), (":5", "no host"), ("a b", "a blank"), ("h/p", "'/'"), ("u@h", "'@'"),
      ("127.1:1", "IPv4"), ("[::1%25lo]", "zone"),
      ("h:", "port"), ("h:0", "port"), ("h:65536", "port"), ("h:x", "port"), ("https://h", "scheme"),
      ("mqtt://h", "to a broker on this machine"),
      ("mqtt://127.0.0.1.example.com", "a broker on this machine"),
    ])
  func `rejects what isn't an endpoint`(text: String, reason: String) {
    #expect {
      try BrokerEndpoint(text, usesWebSocket: false)
    } throws: { error in
      "\(error)".contains(reason)
    }
  }
}

@Suite(.ownThreads) struct `Publishing over HTTPS with a certificate` {
  @Test func `a certificate publishes over HTTPS without a signature, and needs no region`() throws {
    let authority = try ThrowawayAuthority()
    let device = try authority.issue("device", names: "DNS:device")
    let server = try ScriptedServer(
      [.keep(httpResponse(body: "{\"message\":\"OK\",\"traceId\":\"t\"}"))],
      tls: TLSServerContext(
        try authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let environment = Environment([
      "AWS_IOT_THING_NAME": "pump-7", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://localhost:\(server.port)",
      "AWS_CA_BUNDLE": authority.certificateFile, "DEFENDER_CERTIFICATE_FILE": device.certificateFile,
      "DEFENDER_PRIVATE_KEY_FILE": device.keyFile,
    ])
    let time = SystemWaiter(shutdown: nil)
    let publisher = try Configuration(environment).publisher(time: time, log: RecordedLog().log())
    let receipt = try publisher.publish(
      [1], to: try Topic(validating: "own/pump-7"), qos: .atLeastOnce,
      until: time.bootTime.advanced(by: .seconds(5)))
    #expect(receipt.status == 200)
    let received = try #require(server.received.first)
    #expect(received.handshake?.clientName == "device" && received.header("Authorization") == nil)
  }
}
