import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

struct `Signature vectors` {
  @Test(arguments: [("header", 30), ("query", 16), ("iotdata", 48)])
  func `are all there`(file: String, count: Int) throws {
    #expect(try fixtureLines("sigv4/\(file).jsonl").count == count)
  }

  @Test(arguments: Vector.all("sigv4/header.jsonl"))
  func `of the published suites are reproduced step by step`(vector: Vector) throws {
    var headers = try vector.pairs("request", "headers")
    let timestamp = try vector.text("context", "amz_date")
    let encodedBody = try vector.text("request", "body_base64")
    let body = try #require(base64Decoding(encodedBody))
    let payloadHash = try Digest(of: body)
    func add(_ name: String, _ value: String) {
      if !headers.contains(where: { $0.name == HeaderName(name) }) {
        headers.append(HeaderField(HeaderName(name), value))
      }
    }
    add("X-Amz-Date", timestamp)
    if vector["context", "sign_body_header"]?.boolean == true { add("X-Amz-Content-Sha256", payloadHash.hex) }
    if let token = vector["context", "session_token"]?.string,
      vector["context", "omit_session_token_from_signature"]?.boolean != true
    {
      add("X-Amz-Security-Token", token)
    }
    let canonicalRequest = CanonicalRequest(
      method: try vector.text("request", "method"), path: try vector.text("request", "path"),
      query: try vector.text("request", "query"), headers: headers, payloadHash: payloadHash,
      normalizingPath: vector["context", "normalize_path"]?.boolean == true)
    #expect(canonicalRequest.text == (try vector.text("expected", "canonical_request")))
    try expectSignature(of: canonicalRequest, timestamp, vector, "context")
  }

  @Test(arguments: Vector.all("sigv4/iotdata.jsonl").filter { $0["mode"]?.string == "explicit" })
  func `of the IoT data plane with given headers are reproduced step by step`(vector: Vector) throws {
    let target = try vector.text("expected", "request_target").split(separator: "?", maxSplits: 1)
    let canonicalRequest = CanonicalRequest(
      method: try vector.text("input", "method"), path: target[0], query: target.count > 1 ? target[1] : "",
      headers: try vector.pairs("expected", "signed_header_values"),
      payloadHash: try Digest(of: payload(vector)))
    #expect(canonicalRequest.text == (try vector.text("expected", "canonical_request")))
    try expectSignature(of: canonicalRequest, try vector.text("input", "amz_date"), vector, "input")
  }

  @Test(arguments: Vector.all("sigv4/iotdata.jsonl").filter { $0["mode"]?.string == "client" })
  func `of the IoT data plane go from a topic to a signed request`(vector: Vector) throws {
    let endpoint = try ServiceEndpoint(url: vector.text("input", "endpoint"))
    let isDefault = vector["input", "endpoint_is_default"]?.boolean == true
    if isDefault {
      #expect(try ServiceEndpoint(iotDataPlaneOf: vector.text("input", "region")) == endpoint)
    }
    // A publisher sends only `qos`; other parameters come from the row.
    let query = try vector.text("expected", "url").split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
    if let qos: UInt8 = vector["input", "qos"]?.integer(), vector["input", "params"]?.members == [] {
      #expect(query == "qos=\(qos)")
    }
    let headers = try vector.pairs("expected", "signed_header_values").filter {
      !["host", "x-amz-date", "x-amz-security-token"].contains($0.name)
    }
    var request = HTTPRequest(
      method: try vector.text("input", "method"),
      url: endpoint.url(
        "/topics/" + percentEncoding(try vector.text("input", "topic").utf8), query: String(query)),
      headers: headers, body: try payload(vector))
    let target = try vector.text("expected", "request_target")
    #expect(request.url.hasSuffix(target))
    var signer = try RequestSigner(region: vector.text("input", "region"), service: "iotdata")
    try sign(&request, &signer, vector)
    let response = HTTPResponse(status: 0, headers: request.headers)
    #expect(response.header("Authorization") == (try vector.text("expected", "authorization")))
    #expect(response.header("X-Amz-Date") == (try vector.text("input", "amz_date")))
    #expect(response.header("X-Amz-Security-Token") == vector["input", "session_token"]?.string)
  }

  @Test(arguments: Vector.all("sigv4/query.jsonl"))
  func `of signatures in the query are reproduced step by step`(vector: Vector) throws {
    let encodedBody = try vector.text("request", "body_base64")
    let request = PresignableRequest(
      method: try vector.text("request", "method"), path: try vector.text("request", "path"),
      query: try vector.text("request", "query"), headers: try vector.pairs("request", "headers"),
      payloadHash: try Digest(of: try #require(base64Decoding(encodedBody))),
      normalizingPath: vector["context", "normalize_path"]?.boolean == true)
    let credentials = Credentials(
      accessKeyID: try vector.text("context", "access_key_id"),
      secretAccessKey: Secret(try vector.text("context", "secret_access_key")),
      sessionToken: vector["context", "session_token"]?.string.map { Secret($0) })
    let terms = PresigningTerms(
      timestamp: try vector.text("context", "amz_date"),
      lifetime: try #require(vector["context", "expiration_in_seconds"]?.integer()),
      signsSessionToken: vector["context", "omit_session_token_from_signature"]?.boolean != true)
    var signer = try RequestSigner(
      region: vector.text("context", "region"), service: vector.text("context", "service"))
    let (target, signature) = try signer.presign(request, with: credentials, terms)
    #expect(signature.canonicalRequest.text == (try vector.text("expected", "canonical_request")))
    #expect(
      String(decoding: signature.stringToSign, as: UTF8.self)
        == (try vector.text("expected", "string_to_sign")))
    #expect(signature.code.hex == (try vector.text("expected", "signature")))
    // The order of the query's parameters doesn't matter, as long as they are all there and equal.
    let expected = try vector.text("expected", "signed_target")
    #expect(target.prefix { $0 != "?" } == expected.prefix { $0 != "?" })
    #expect(parameters(target) == parameters(expected))
  }

  private func parameters(_ target: String) -> [Substring] {
    target.drop { $0 != "?" }.dropFirst().split(separator: "&").sorted()
  }

  private func sign(
    _ request: inout HTTPRequest, _ signer: inout RequestSigner, _ vector: Vector
  ) throws {
    let credentials = Credentials(
      accessKeyID: try vector.text("input", "access_key_id"),
      secretAccessKey: Secret(try vector.text("input", "secret_access_key")),
      sessionToken: vector["input", "session_token"]?.string.map(Secret.init))
    let date = try vector.text("input", "timestamp")
    let time = try #require(WallTime(iso8601: date))
    try signer.sign(&request, with: credentials, at: time)
  }

  private func payload(_ vector: Vector) throws -> [UInt8] {
    if let length: Int = vector["input", "payload_length"]?.integer() {
      return (0..<length).map { UInt8($0 % 251) }
    }
    let encoded = try vector.text("input", "payload_base64")
    return try #require(base64Decoding(encoded))
  }

  private func expectSignature(
    of canonicalRequest: CanonicalRequest, _ timestamp: String, _ vector: Vector, _ section: String
  ) throws {
    var signer = try RequestSigner(
      region: vector.text(section, "region"), service: vector.text(section, "service"))
    let signature = try signer.signature(
      of: canonicalRequest, at: timestamp,
      secretAccessKey: Secret(vector.text(section, "secret_access_key")))
    #expect(canonicalRequest.signedHeaders == (try vector.text("expected", "signed_headers")))
    #expect(
      String(decoding: signature.stringToSign, as: UTF8.self)
        == (try vector.text("expected", "string_to_sign")))
    #expect(signature.code.hex == (try vector.text("expected", "signature")))
    let accessKeyID = try vector.text(section, "access_key_id")
    #expect(
      signature.authorization(accessKeyID: accessKeyID) == (try vector.text("expected", "authorization")))
  }
}
