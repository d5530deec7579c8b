import COpenSSL
package import Platform
import WireFormats

/// The reason why a request's signature was rejected.
package struct SignatureRefusal: Error, Equatable, Sendable {
  /// AWS's message, which is sent to the client.
  package let message: String
  /// The actual problem, for the emulator's user; nil if AWS's message is specific enough.
  package let explanation: String?

  init(_ message: String, because explanation: String? = nil) {
    self.message = message
    self.explanation = explanation
  }
}

/// Verifies AWS Signature Version 4 signatures of requests as received.
///
/// Written from the specification ("Signature Version 4 for API requests" in the IAM user guide). It deliberately shares no code
/// with this package's signer, because no test would find an error that both have in common.
package struct SignatureVerifier: Sendable {
  private let credentials: TemporaryCredentials
  private let sessionToken: String?
  /// The region that a signature must be for; nil if it may be for any.
  private let region: String?
  private let service: String
  /// The maximum difference between a signature's date and the verifier's clock. AWS allows 5 minutes.
  private let allowedSkew = Duration.seconds(300)

  package init(credentials: TemporaryCredentials, region: String?, service: String = "iotdata") {
    self.credentials = credentials
    // Long-term credentials have no token.
    sessionToken = credentials.sessionToken.isEmpty ? nil : credentials.sessionToken
    self.region = region
    self.service = service
  }

  /// Throws unless `request` with `body` was signed with the credentials, for the region and service, within five minutes of `now`.
  package func verify(
    _ request: ReceivedRequest, body: [UInt8], at now: WallTime
  ) throws(SignatureRefusal) {
    let authorization = try Authorization(request)
    try checkCredentials(request, authorization)
    let date = try checkDate(request, authorization, now)
    try checkSignedHeaders(request, authorization)
    let bodyDigest = hex(sha256(body))
    if let claimed = request.value(of: "x-amz-content-sha256"), claimed != bodyDigest {
      throw SignatureRefusal("The provided 'x-amz-content-sha256' header does not match what was computed.")
    }
    let canonical = canonicalRequest(request, authorization.signedHeaders, bodyDigest: bodyDigest)
    let stringToSign = [
      "AWS4-HMAC-SHA256", date, authorization.scope, hex(sha256(Array(canonical.utf8))),
    ].joined(separator: "\n")
    var key = Array("AWS4\(credentials.secretAccessKey)".utf8)
    for part in [authorization.date, authorization.region, authorization.service, "aws4_request"] {
      key = authenticationCode(of: part, key: key)
    }
    let expected = hex(authenticationCode(of: stringToSign, key: key))
    guard isEqualInConstantTime(expected, authorization.signature) else { throw Self.mismatch }
  }

  private static let mismatch = SignatureRefusal(
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access"
      + " Key and signing method. Consult the service documentation for details.")

  private func checkCredentials(
    _ request: ReceivedRequest, _ authorization: Authorization
  ) throws(SignatureRefusal) {
    let invalid = "The security token included in the request is invalid."
    guard authorization.accessKeyID == credentials.accessKeyID else {
      throw SignatureRefusal(
        invalid, because: "the access key \(authorization.accessKeyID) is not the emulator's")
    }
    let tokens = request.values(of: .amzSecurityToken)
    let expected = sessionToken.map { [$0] } ?? []
    guard tokens.count == expected.count else {
      throw SignatureRefusal(
        invalid,
        because:
          "the request has \(tokens.count) X-Amz-Security-Token headers, but \(expected.count) expected")
    }
    guard zip(tokens, expected).allSatisfy(isEqualInConstantTime) else {
      throw SignatureRefusal(invalid, because: "the session token is not the emulator's")
    }
    guard region == nil || authorization.region == region else {
      throw SignatureRefusal("Credential should be scoped to a valid region, not '\(authorization.region)'. ")
    }
    guard authorization.service == service else {
      throw SignatureRefusal("Credential should be scoped to correct service: '\(service)'. ")
    }
  }

  /// Checks the date of the signature and returns it unchanged.
  private func checkDate(
    _ request: ReceivedRequest, _ authorization: Authorization, _ now: WallTime
  ) throws(SignatureRefusal) -> String {
    let dates = request.values(of: .amzDate)
    guard dates.count == 1, let date = dates.first, let time = wallTime(basicFormat: date) else {
      throw SignatureRefusal(
        "Date must be in ISO8601 'basic format'. Got '\(dates.joined(separator: ", "))'. See"
          + " http://en.wikipedia.org/wiki/ISO_8601")
    }
    let day = date.prefix(8)
    guard day == authorization.date else {
      throw SignatureRefusal(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
          + " '\(authorization.date)' != '\(day)', from '\(date)'.")
    }
    let current = CivilTime(now).basicFormat
    let earliest = now.advanced(by: .zero - allowedSkew)
    let latest = now.advanced(by: allowedSkew)
    if time < earliest {
      let limit = CivilTime(earliest).basicFormat
      throw SignatureRefusal("Signature expired: \(date) is now earlier than \(limit) (\(current) - 5 min.)")
    }
    if time > latest {
      let limit = CivilTime(latest).basicFormat
      throw SignatureRefusal(
        "Signature not yet current: \(date) is still later than \(limit) (\(current) + 5 min.)")
    }
    return date
  }

  private func checkSignedHeaders(
    _ request: ReceivedRequest, _ authorization: Authorization
  ) throws(SignatureRefusal) {
    let signed = authorization.signedHeaders
    guard signed == Set(signed).sorted() else {
      throw SignatureRefusal(
        Self.mismatch.message, because: "SignedHeaders is not sorted or contains a duplicate")
    }
    guard signed.contains("host"), request.values(of: .host).count == 1 else {
      throw SignatureRefusal("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    }
    for name in signed where request.value(of: HeaderName(name)) == nil {
      throw SignatureRefusal(
        Self.mismatch.message, because: "the signed header \(name) is missing from the request")
    }
    for field in request.headers where field.name.lowerCased.hasPrefix("x-amz-") {
      let name = field.name.lowerCased
      guard signed.contains(name) else {
        throw SignatureRefusal(
          "There were headers present in the request which were not signed: '\(name)'")
      }
    }
  }
}

/// The parts of `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
private struct Authorization {
  let accessKeyID: String
  let date: String
  let region: String
  let service: String
  let signedHeaders: [String]
  let signature: String

  var scope: String { "\(date)/\(region)/\(service)/aws4_request" }

  init(_ request: ReceivedRequest) throws(SignatureRefusal) {
    let fields = request.values(of: .authorization)
    guard let field = fields.first else { throw SignatureRefusal("Missing Authentication Token") }
    guard fields.count == 1 else {
      throw SignatureRefusal(
        "Missing Authentication Token", because: "the request has more than one Authorization header")
    }
    let words = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
    guard words.count == 2, words[0] == "AWS4-HMAC-SHA256" else {
      throw SignatureRefusal("Unsupported AWS 'algorithm': '\(words.first ?? "")'.")
    }
    var parameters: [Substring: Substring] = [:]
    for parameter in words[1].split(separator: ",") {
      let pair = parameter.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
      guard pair.count == 2, parameters.updateValue(pair[1], forKey: pair[0]) == nil else {
        throw SignatureRefusal(
          "Authorization header is malformed.", because: "'\(parameter)' is not a new NAME=VALUE parameter")
      }
    }
    func parameter(_ name: Substring) throws(SignatureRefusal) -> Substring {
      guard let value = parameters[name] else {
        throw SignatureRefusal("Authorization header requires '\(name)' parameter.")
      }
      return value
    }
    let credential = try parameter("Credential").split(separator: "/", omittingEmptySubsequences: false)
    let headers = try parameter("SignedHeaders").split(separator: ";", omittingEmptySubsequences: false)
    signature = String(try parameter("Signature"))
    guard credential.count == 5, credential[4] == "aws4_request" else {
      throw SignatureRefusal(
        "Credential must have exactly 5 slash-delimited elements, e.g."
          + " keyid/date/region/service/term, got '\(credential.joined(separator: "/"))'")
    }
    accessKeyID = String(credential[0])
    date = String(credential[1])
    region = String(credential[2])
    service = String(credential[3])
    signedHeaders = headers.map(String.init)
  }
}

// MARK: The canonical request

/// Returns the canonical request: method, path, query, headers, header names and body digest.
private func canonicalRequest(
  _ request: ReceivedRequest, _ signedHeaders: [String], bodyDigest: String
) -> String {
  let headers = signedHeaders.map { name in
    "\(name):\(request.values(of: HeaderName(name)).map(canonicalHeaderValue).joined(separator: ","))\n"
  }
  return [
    request.method, canonicalPath(request.path), canonicalQuery(request.query), headers.joined(),
    signedHeaders.joined(separator: ";"), bodyDigest,
  ].joined(separator: "\n")
}

/// Returns the path as received, without empty and dot segments, and percent-encoded once more. AWS does this for all services
/// except S3.
private func canonicalPath(_ path: Substring) -> String {
  var segments: [Substring] = []
  for segment in path.split(separator: "/") where segment != "." {
    if segment == ".." {
      _ = segments.popLast()
    } else {
      segments.append(segment)
    }
  }
  if segments.isEmpty { return "/" }
  let encoded = segments.map { "/" + percentEncoding($0.utf8) }.joined()
  return path.hasSuffix("/") ? encoded + "/" : encoded
}

/// Returns the parameters decoded, strictly encoded again, and sorted by name and then by value.
private func canonicalQuery(_ query: Substring) -> String {
  let parameters = query.split(separator: "&").map { parameter in
    let name = parameter.prefix { $0 != "=" }
    return (name: strictlyEncoded(name), value: strictlyEncoded(parameter.dropFirst(name.count + 1)))
  }
  let sorted = parameters.sorted { left, right in
    // AWS sorts by bytes and Swift by Unicode order. For encoded text, which is ASCII, the two are the same.
    left.name == right.name ? left.value < right.value : left.name < right.name
  }
  return sorted.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
}

private func strictlyEncoded(_ text: Substring) -> String {
  // An invalid percent-encoding stays unchanged, as in lenient servers.
  percentEncoding(percentDecoding(text.utf8) ?? Array(text.utf8))
}

/// Returns the value trimmed, with each run of spaces and tabs replaced by one space.
private func canonicalHeaderValue(_ value: String) -> String {
  value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
}

/// Parses a time such as `20260102T030405Z`; nil if it is malformed.
private func wallTime(basicFormat text: String) -> WallTime? {
  let characters = Array(text.utf8)
  guard characters.count == 16 else { return nil }
  func part(_ range: Range<Int>) -> String { String(decoding: characters[range], as: UTF8.self) }
  let date = "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))"
  let time = "\(part(9..<11)):\(part(11..<13)):\(part(13..<15))"
  return WallTime(iso8601: "\(date)\(part(8..<9))\(time)\(part(15..<16))")
}

// MARK: Digests

private func sha256(_ bytes: [UInt8]) -> [UInt8] {
  var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
  unsafe SHA256(bytes, bytes.count, &digest)
  return digest
}

private func authenticationCode(of text: String, key: [UInt8]) -> [UInt8] {
  let bytes = Array(text.utf8)
  var code = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
  unsafe HMAC(EVP_sha256(), key, Int32(clamping: key.count), bytes, bytes.count, &code, nil)
  return code
}

/// Compares two strings of the same length in constant time, so that timing doesn't reveal how many characters match.
private func isEqualInConstantTime(_ left: String, _ right: String) -> Bool {
  let left = Array(left.utf8)
  let right = Array(right.utf8)
  guard left.count == right.count else { return false }
  return unsafe CRYPTO_memcmp(left, right, left.count) == 0
}
