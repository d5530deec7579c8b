import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

@testable import AWSClient

private let example = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

struct `A signing key` {
  @Test(arguments: [
    ("20120215", "us-east-1", "iam", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
    ("20150830", "us-east-1", "iam", "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"),
    ("20240501", "us-east-1", "iotdata", "f7699b47c48408b0faae9af004377b1e89f7dc85c5761c99d0e466349ecb8b99"),
  ])
  func `is the published one`(date: String, region: String, service: String, expected: String) throws {
    let scope = SigningScope(date: date, region: region, service: service)
    #expect(try scope.signingKey(example, AuthenticationContext()).hex == expected)
  }

  @Test func `is derived again for another day or another secret`() throws {
    var signer = try RequestSigner(region: "r", service: "s")
    let canonicalRequest = CanonicalRequest(
      method: "GET", path: "/", query: "", headers: [], payloadHash: try Digest(of: []))
    var codes: [String] = []
    for (day, secret) in [("20240501", "a"), ("20240502", "a"), ("20240502", "b"), ("20240501", "a")] {
      let signature = try signer.signature(
        of: canonicalRequest, at: day + "T000000Z", secretAccessKey: Secret(secret))
      codes.append(signature.code.hex)
    }
    #expect(Set(codes).count == 3)
    #expect(codes[0] == codes[3])
  }
}

struct `A digest` {
  // FIPS 180-4 examples.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ])
  func `is that of the standard`(text: String, expected: String) throws {
    #expect(try Digest(of: Array(text.utf8)).hex == expected)
  }
}

struct `An authentication code` {
  // RFC 4231, test cases 1, 2 and 6; and an empty key after another key, which libcrypto would reuse.
  @Test(arguments: [
    (
      [UInt8](repeating: 0x0B, count: 20), "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
      Array("Jefe".utf8), "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
      [UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    ([], "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
  ])
  func `is that of the standard`(key: [UInt8], text: String, expected: String) throws {
    let context = try AuthenticationContext()
    // The context keeps this key, which the next key must replace.
    _ = try context.code(of: [], key: [UInt8](repeating: 1, count: 32).span)
    #expect(try context.code(of: Array(text.utf8), key: key.span).hex == expected)
  }
}

struct `A signature in the query` {
  @Test func `omits the session token if it follows the signature`() throws {
    var signer = try RequestSigner(region: "eu-west-1", service: "iotdevicegateway")
    let request = PresignableRequest(
      method: "GET", path: "/mqtt", query: "", headers: [HeaderField("host", "x")],
      payloadHash: try Digest(of: []))
    let credentials = Credentials(accessKeyID: "A", secretAccessKey: example, sessionToken: Secret("t/="))
    let time = WallTime(secondsSinceEpoch: 0)
    let (target, signature) = try signer.presign(
      request, with: credentials, PresigningTerms(at: time, lifetime: 60, signsSessionToken: false))
    #expect(!signature.canonicalRequest.text.contains("Token"))
    #expect(target.hasSuffix("&X-Amz-Signature=\(signature.code.hex)&X-Amz-Security-Token=t%2F%3D"))
    let (_, signed) = try signer.presign(request, with: credentials, PresigningTerms(at: time, lifetime: 60))
    #expect(signed.canonicalRequest.text.contains("X-Amz-Security-Token=t%2F%3D"))
  }
}

struct `A signed request` {
  @Test func `doesn't sign headers that may change in transit`() throws {
    var signer = try RequestSigner(region: "us-east-1", service: "iotdata")
    var request = HTTPRequest(
      method: "POST", url: "https://x:8443/a",
      headers: [HeaderField("User-Agent", "u"), HeaderField("X-Custom", "1"), HeaderField("TE", "t")])
    let credentials = Credentials(accessKeyID: "A", secretAccessKey: example)
    try signer.sign(&request, with: credentials, at: WallTime(secondsSinceEpoch: 0))
    let authorization = HTTPResponse(status: 0, headers: request.headers).header("authorization") ?? ""
    #expect(authorization.contains("Credential=A/19700101/us-east-1/iotdata/aws4_request"))
    #expect(authorization.contains("SignedHeaders=host;x-amz-date;x-custom,"))
  }

  @Test func `is rejected if the URL is malformed`() throws {
    var signer = try RequestSigner(region: "r", service: "s")
    var request = HTTPRequest(method: "GET", url: "mailto:x")
    #expect(throws: SigningError.self) {
      try signer.sign(
        &request, with: Credentials(accessKeyID: "A", secretAccessKey: example),
        at: WallTime(secondsSinceEpoch: 0))
    }
  }

  @Test func `gets the same signature, step by step, from a signer that has signed others before`() throws {
    // Each request differs from the one before in one or two inputs of the signature; the others stay the same.
    let urls = ["https://x/a%2Fb?qos=1", "https://x/a%2Fc?qos=1", "https://x:8443/a%2Fb?qos=1"]
    let headers: [[HeaderField]] = [
      [], [HeaderField("X-Amz-Date", "mine")],
      [HeaderField("x-custom", " a  b "), HeaderField("Zebra", "z")],
      // These differ only in a value, only in a name, or only in how many headers follow the same first ones.
      [HeaderField("x-name", "\u{E9}")], [HeaderField("x-name", "e\u{301}")], [HeaderField("host", "y")],
      [HeaderField("host", "z")], [HeaderField("accept", "z")],
      [HeaderField("accept", "z"), HeaderField("TE", "t")], [HeaderField("TE", "t")],
    ]
    let triples = [("A", "s", nil), ("B", "s", nil), ("A", "r", nil), ("A", "s", "t"), ("A", "s", "t/u")]
    let credentials = triples.map { id, secret, token in
      Credentials(
        accessKeyID: id, secretAccessKey: Secret(secret), sessionToken: token.map { Secret($0) })
    }
    var random = SeededRandom(seed: 5)
    var signer = try RequestSigner(region: "eu-west-1", service: "iotdata")
    var (url, method, fields, who, second) = (0, "POST", 0, 0, Int64(1_767_225_598))
    for number in 0..<500 {
      switch Int.random(in: 0..<8, using: &random) {
      case 0: url = (url + 1) % urls.count
      case 1: fields = (fields + 1) % headers.count
      case 2: who = Int.random(in: credentials.indices, using: &random)
      case 3: method = method == "POST" ? "PUT" : "POST"
      case 4: second += 86_400
      default: second += 1
      }
      let time = WallTime(secondsSinceEpoch: second)
      let body = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number)
      var request = HTTPRequest(method: method, url: urls[url], headers: headers[fields], body: body)
      try signer.sign(&request, with: credentials[who], at: time)
      let expected = try authorization(of: request, credentials[who], at: time)
      try #require(request.headers.last?.value == expected, "\(number): \(request.headers)")
    }
  }

  /// Returns the `Authorization` that a signed request must have, computed in the steps of the specification.
  private func authorization(
    of request: HTTPRequest, _ credentials: Credentials, at time: WallTime
  ) throws -> String {
    let target = try HTTPURL(request.url)
    var headers = request.headers.filter { !["TE", "Authorization"].contains($0.name) }
    if !headers.contains(where: { $0.name == "host" }) {
      headers.append(HeaderField("Host", target.hostHeader))
    }
    let canonicalRequest = CanonicalRequest(
      method: request.method, path: target.path, query: target.query, headers: headers,
      payloadHash: try Digest(of: request.body))
    var signer = try RequestSigner(region: "eu-west-1", service: "iotdata")
    let signature = try signer.signature(
      of: canonicalRequest, at: CivilTime(time).basicFormat, secretAccessKey: credentials.secretAccessKey)
    return signature.authorization(accessKeyID: credentials.accessKeyID)
  }
}
