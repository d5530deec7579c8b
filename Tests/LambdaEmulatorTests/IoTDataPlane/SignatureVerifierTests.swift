import Platform
import TestSupport
import Testing
import WireFormats

@testable import LambdaEmulator

@Suite struct `The signature verifier` {
  @Test(arguments: try SignedRequest.all())
  func `accepts every known signature`(row: SignedRequest) {
    #expect(throws: Never.self) { try row.verify() }
  }

  @Test func `is tested with all rows of the table`() throws {
    #expect(try SignedRequest.all().count == 48)
  }

  @Test(arguments: try SignedRequest.all())
  func `rejects a request in which anything was changed`(row: SignedRequest) throws {
    for (change, changed) in try row.changes() {
      #expect(throws: SignatureRefusal.self, "\(row.id): \(change)") { try changed.verify() }
    }
  }

  @Test func `accepts a date within five minutes`() throws {
    let row = try #require(try SignedRequest.all().first)
    for seconds in [-300, -299, 0, 299, 300] {
      #expect(throws: Never.self, "\(seconds) s") { try row.verify(clockAhead: .seconds(seconds)) }
    }
    let late = #expect(throws: SignatureRefusal.self) { try row.verify(clockAhead: .seconds(301)) }
    #expect(
      late?.message
        == "Signature expired: 20240501T123456Z is now earlier than 20240501T123457Z (20240501T123957Z - 5 min.)"
    )
    let early = #expect(throws: SignatureRefusal.self) { try row.verify(clockAhead: .seconds(-301)) }
    #expect(
      early?.message
        == "Signature not yet current: 20240501T123456Z is still later than 20240501T123455Z (20240501T122955Z + 5 min.)"
    )
  }

  @Test(arguments: [
    nil, "", "AWS4-HMAC-SHA256", "Basic dXNlcjpwYXNz", "AWS4-HMAC-SHA256 Credential", "AWS4-HMAC-SHA256 =",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "AWS4-HMAC-SHA256 SignedHeaders=host,Signature=0",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d,SignedHeaders=host,Signature=0",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host,Signature=0",
    "AWS4-HMAC-SHA256 Credential=////aws4_request,SignedHeaders=,Signature=0",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,Credential=a/b/c/d/aws4_request,SignedHeaders=host,Signature=0",
    "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=host,Signature=0",
  ])
  func `rejects a malformed Authorization header`(value: String?) throws {
    let row = try #require(try SignedRequest.all().first)
    let headers = row.request.headers.filter { $0.name != "Authorization" }
    let changed = row.with(headers: headers + (value.map { [HeaderField("Authorization", $0)] } ?? []))
    #expect(throws: SignatureRefusal.self) { try changed.verify() }
  }

  @Test func `rejects damaged requests`() throws {
    var random = SeededRandom(seed: 4)
    for row in try SignedRequest.all() {
      let authorization = try #require(row.request.value(of: "authorization"))
      for _ in 0..<100 {
        let text = String(decoding: damaged(Array(authorization.utf8), using: &random), as: UTF8.self)
        let others = row.request.headers.filter { $0.name != "Authorization" }
        let accepted = row.with(headers: others + [HeaderField("Authorization", text)]).isAccepted
        // Extra spaces and commas between the parameters are harmless.
        if accepted { #expect(essence(text) == essence(authorization)) }

        let target = damaged(Array(row.request.target.utf8), using: &random)
        _ = row.with(target: String(decoding: target, as: UTF8.self)).isAccepted

        let body = damaged(row.body, using: &random)
        #expect(row.with(body: body).isAccepted == (body == row.body))
      }
    }
  }

  private func essence(_ authorization: String) -> String { authorization.filter { $0 != " " && $0 != "," } }
}

/// A row of `sigv4/iotdata.jsonl` as a received request.
struct SignedRequest: Sendable, CustomTestStringConvertible {
  let id: String
  var request: ReceivedRequest
  var body: [UInt8]
  var credentials: TemporaryCredentials
  var region: String
  var service: String
  let time: WallTime

  var testDescription: String { id }

  var isAccepted: Bool { (try? verify()) != nil }

  func verify(clockAhead: Duration = .zero) throws(SignatureRefusal) {
    try SignatureVerifier(credentials: credentials, region: region, service: service)
      .verify(request, body: body, at: time.advanced(by: clockAhead))
  }

  static func all() throws -> [SignedRequest] {
    let table = try readFile(fixturePath("sigv4/iotdata.jsonl"), limit: 1 << 24)
    return try table.split(separator: UInt8(ascii: "\n")).map {
      try SignedRequest(row: JSONValue(parsing: Array($0)))
    }
  }

  private init(row: JSONValue) throws {
    let input = try #require(row["input"])
    let expected = try #require(row["expected"])
    id = try #require(row["id"]?.string)
    let pairs = try #require(expected["signed_header_values"]?.array)
    var headers = try pairs.map { pair in
      HeaderField(HeaderName(try #require(pair.array?.first?.string)), try #require(pair.array?.last?.string))
    }
    // Add unsigned headers that any client sends.
    headers.insert(HeaderField("User-Agent", "curl/8"), at: 0)
    headers.append(HeaderField("Authorization", try #require(expected["authorization"]?.string)))
    headers.append(HeaderField("Accept", "*/*"))
    request = ReceivedRequest(
      method: try #require(input["method"]?.string), target: try #require(expected["request_target"]?.string),
      headers: headers)
    if let encoded = input["payload_base64"]?.string {
      body = try #require(base64Decoding(encoded))
    } else {
      let length = try #require(input["payload_length"]?.integer(as: Int.self))
      body = (0..<length).map { UInt8($0 % 251) }
    }
    credentials = TemporaryCredentials(
      accessKeyID: try #require(input["access_key_id"]?.string),
      secretAccessKey: try #require(input["secret_access_key"]?.string),
      sessionToken: input["session_token"]?.string ?? "")
    region = try #require(input["region"]?.string)
    service = try #require(input["service"]?.string)
    let timestamp = try #require(input["timestamp"]?.string)
    time = try #require(WallTime(iso8601: timestamp))
  }

  func with(target: String? = nil, headers: [HeaderField]? = nil, body: [UInt8]? = nil) -> SignedRequest {
    var copy = self
    copy.request = ReceivedRequest(
      method: request.method, target: target ?? request.target, headers: headers ?? request.headers)
    copy.body = body ?? self.body
    return copy
  }

  /// Returns variants of the request, each with one part changed. The verifier must reject all of them.
  func changes() throws -> [(String, SignedRequest)] {
    let target = request.target
    let headers = request.headers
    func replacing(_ name: String, _ change: (String) -> String) -> SignedRequest {
      with(
        headers: headers.map { $0.name == HeaderName(name) ? HeaderField($0.name, change($0.value)) : $0 })
    }
    func replacingInAuthorization(_ old: String, _ new: String) throws -> SignedRequest {
      let value = try #require(request.value(of: "authorization"))
      let parts = value.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
      try #require(parts.count == 2, "\(value) doesn't contain \(old)")
      return replacing("authorization") { _ in parts.joined(separator: new) }
    }
    var changes = [
      ("another path", with(target: target.replacingFirst("/", with: "/x"))),
      ("another query", with(target: target + (target.contains("?") ? "&" : "?") + "retain=true")),
      ("a longer body", with(body: body + [0])),
      ("another host", replacing("host") { $0 + ".example" }),
      ("a later date", replacing("x-amz-date") { $0.replacingFirst("Z", with: "") + "0Z" }),
      ("a second host", with(headers: headers + [HeaderField("Host", "example.com")])),
      ("an unsigned header", with(headers: headers + [HeaderField("X-Amz-Mqtt5-Other", "1")])),
      ("a signed header left out", with(headers: headers.filter { $0.name != .amzDate })),
      ("no authorization", with(headers: headers.filter { $0.name != "Authorization" })),
      ("two authorizations", with(headers: headers + headers.filter { $0.name == "Authorization" })),
      (
        "another body digest",
        with(headers: headers + [HeaderField("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")])
      ),
      ("the signature in capitals", replacing("authorization") { $0.uppercased() }),
      ("another region in the scope", try replacingInAuthorization("/\(region)/", "/us-gov-west-1/")),
      ("another service in the scope", try replacingInAuthorization("/\(service)/", "/iotdevicegateway/")),
      ("another access key", try replacingInAuthorization(credentials.accessKeyID, "AKIDOTHER")),
      ("one header less signed", try replacingInAuthorization(";x-amz-date", "")),
      ("one header more signed", try replacingInAuthorization("SignedHeaders=", "SignedHeaders=accept;")),
    ]
    if !body.isEmpty {
      changes.append(("one bit of the body", with(body: [body[0] ^ 1] + body.dropFirst())))
      changes.append(("a shorter body", with(body: Array(body.dropLast()))))
    }
    if target.contains("%") {
      // A verifier that doesn't encode the path a second time would accept this.
      changes.append(("a decoded path", with(target: target.replacingFirst("%", with: "%25"))))
    }
    var other = self
    other.credentials = TemporaryCredentials(
      accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey + "x",
      sessionToken: credentials.sessionToken)
    changes.append(("another secret", other))
    other.credentials = TemporaryCredentials(
      accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey,
      sessionToken: credentials.sessionToken + "x")
    changes.append(("another session token", other))
    other = self
    other.region = "ap-south-1"
    changes.append(("another region", other))
    other = self
    other.service = "iot"
    changes.append(("another service", other))
    var method = self
    method.request = ReceivedRequest(method: "PUT", target: target, headers: headers)
    changes.append(("another method", method))
    return changes
  }
}

extension String {
  /// Returns the text with the first `old` replaced, or unchanged if there is none.
  fileprivate func replacingFirst(_ old: Character, with new: String) -> String {
    guard let index = firstIndex(of: old) else { return self }
    return self[..<index] + new + self[self.index(after: index)...]
  }
}
