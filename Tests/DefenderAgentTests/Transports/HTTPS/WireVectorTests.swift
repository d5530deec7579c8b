import AWSClient
import DefenderAgent
import HTTPClient
import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

struct `Vectors sent over the wire` {
  /// Each vector passes through the publisher, libcurl, TLS with the endpoint's own name, and a verifier that shares no
  /// code with the signer.
  @Test(arguments: Vector.all("sigv4/iotdata.jsonl").filter { $0["mode"]?.string == "client" })
  func `are accepted, and arrive with the same topic and payload`(vector: Vector) throws {
    let payload = try payload(vector)
    let topic = try vector.text("input", "topic")
    let region = try vector.text("input", "region")
    let endpoint = try ServiceEndpoint(url: vector.text("input", "endpoint"))
    let timestamp = try vector.text("input", "timestamp")
    let time = ManualTime(wallTime: try #require(WallTime(iso8601: timestamp)))
    let credentials = TemporaryCredentials(
      accessKeyID: try vector.text("input", "access_key_id"),
      secretAccessKey: try vector.text("input", "secret_access_key"),
      sessionToken: vector["input", "session_token"]?.string ?? "")
    let now = time.wallTime
    let plane = PublishEndpoint(
      verifier: SignatureVerifier(credentials: credentials, region: region), now: { now })

    let authority = try ThrowawayAuthority()
    let identity = try authority.issue("server", names: "DNS:\(endpoint.host)")
    let server = try ScriptedServer(tls: endpoint.isSecure ? TLSServerContext(identity) : nil) { request in
      .keep(request.answer(of: plane).text)
    }
    defer { server.stop() }
    let variables = [
      "AWS_ACCESS_KEY_ID": credentials.accessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.secretAccessKey,
      "AWS_SESSION_TOKEN": credentials.sessionToken, "AWS_CA_BUNDLE": authority.certificateFile,
    ]
    var configuration = ConnectionConfiguration(Environment(variables))
    configuration.connectTo = ["\(endpoint.host):\(endpoint.port):127.0.0.1:\(server.port)"]
    if topic.contains(where: { "+#".contains($0) }) {
      // A topic with a wildcard can't be published to, but its path can be signed. The service must reject the topic.
      var request = HTTPRequest(method: "POST", url: endpoint.url(Topic.path(of: topic)), body: payload)
      var signer = try RequestSigner(region: region, service: "iotdata")
      let found = try EnvironmentCredentials(Environment(variables)).credentials(
        at: now, until: .distantFuture)
      try signer.sign(&request, with: #require(found), at: now)
      let response = try CurlExchange(configuration).exchange(request, timeout: .seconds(30))
      #expect(response.status == 400)
      #expect(ServiceError(response).message == "Invalid topic")
      return
    }
    let publisher = try HTTPSPublisher(
      endpoint: endpoint, region: region, credentials: EnvironmentCredentials(Environment(variables)),
      exchange: CurlExchange(configuration), time: time, log: Log { _, _ in })
    let receipt = try publisher.publish(
      payload, to: Topic(validating: topic), qos: .atLeastOnce,
      until: time.bootTime.advanced(by: .seconds(30)))

    #expect(receipt.status == 200 && receipt.attempts == 1)
    let received = try #require(plane.received.first)
    #expect(received.topic.map { Array($0.utf8) } == Array(topic.utf8))
    #expect(received.payload == payload)
    #expect(received.verdict == .accepted)
    #expect(received.contentType == nil)
  }

  private func payload(_ vector: Vector) throws -> [UInt8] {
    if let length: Int = vector["input", "payload_length"]?.integer() {
      return (0..<length).map { UInt8($0 % 251) }
    }
    let encoded = try vector.text("input", "payload_base64")
    return try #require(base64Decoding(encoded))
  }
}
