import Platform
import Testing
import WireFormats

@testable import LambdaEmulator

@Suite struct `The publish endpoint` {
  /// Returns an endpoint that accepts the signature of the row called `id`, and that row's request.
  private func endpoint(for id: String) throws -> (PublishEndpoint, SignedRequest) {
    let row = try #require(try SignedRequest.all().first { $0.id == id })
    let verifier = SignatureVerifier(credentials: row.credentials, region: row.region)
    return (PublishEndpoint(verifier: verifier, now: { row.time }), row)
  }

  @Test func `accepts a signed publish and keeps it`() throws {
    let (endpoint, row) = try endpoint(for: "iotdata/topic-dd-space-colon")
    let answer = endpoint.answer(row.request, body: row.body)
    #expect(answer.status == 200)
    #expect(try answer.json["message"]?.string == "OK")
    #expect(try answer.json["traceId"]?.string?.count == 36)
    let publish = try #require(endpoint.received.first)
    #expect(endpoint.received.count == 1)
    #expect(publish.topic == "$aws/things/My Thing:1/defender/metrics/json")
    #expect(publish.qos == .atLeastOnce)
    #expect(publish.payload == row.body)
    #expect(publish.verdict == .accepted)
  }

  @Test func `rejects a forged publish like AWS, and keeps it`() throws {
    let (endpoint, row) = try endpoint(for: "iotdata/topic-plain")
    let answer = endpoint.answer(row.request, body: row.body + [0])
    #expect(answer.status == 403)
    #expect(answer.header("x-amzn-ErrorType") == "ForbiddenException")
    let message = try #require(try answer.json["message"]?.string)
    #expect(
      message.hasPrefix("The request signature we calculated does not match the signature you provided."))
    #expect(endpoint.received.map(\.verdict) == [.refused(status: 403, message: message, explanation: nil)])
  }

  @Test(arguments: ["GET", "PUT", "DELETE", "HEAD"])
  func `rejects every method but POST`(method: String) throws {
    let (endpoint, row) = try endpoint(for: "iotdata/topic-plain")
    let request = ReceivedRequest(method: method, target: row.request.target, headers: row.request.headers)
    let answer = endpoint.answer(request, body: row.body)
    #expect(answer.status == 405)
    #expect(answer.header("x-amzn-ErrorType") == "MethodNotAllowedException")
  }

  @Test(arguments: [
    ("iotdata/topic-plus", 400), ("iotdata/topic-gendelims", 400), ("iotdata/topic-subdelims", 400),
    ("iotdata/topic-max256", 200), ("iotdata/topic-emoji", 200), ("iotdata/qos-absent", 200),
  ])
  func `enforces AWS's rules for topics`(id: String, status: Int) throws {
    let (endpoint, row) = try endpoint(for: id)
    #expect(endpoint.answer(row.request, body: row.body).status == status)
  }

  @Test func `accepts 128 KiB, but not one byte more`() throws {
    let (endpoint, row) = try endpoint(for: "iotdata/topic-plain")
    let most = [UInt8](repeating: 0, count: 131_072)
    // The signature is for another body, so status 403 means that the size was accepted.
    #expect(endpoint.answer(row.request, body: most).status == 403)
    let answer = endpoint.answer(row.request, body: most + [0])
    #expect(answer.status == 413)
    #expect(answer.header("x-amzn-ErrorType") == "RequestEntityTooLargeException")
  }

  @Test(
    arguments: [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
    ] as [(Int64, String)])
  func `dates its responses in HTTP's format`(seconds: Int64, text: String) {
    #expect(httpDate(WallTime(secondsSinceEpoch: seconds)) == text)
  }
}

extension Answer {
  var json: JSONValue {
    get throws {
      guard case .bytes(let bytes) = body else { return .null }
      return try JSONValue(parsing: bytes)
    }
  }

  func header(_ name: HeaderName) -> String? { headers.first { $0.name == name }?.value }
}
