package import HTTPClient
package import Platform

/// Why a request couldn't be signed.
package enum SigningError: Error, Equatable, Sendable, CustomStringConvertible {
  case cryptography(CryptographyError)
  case url(URLError)

  package var description: String {
    switch self {
    case .cryptography(let error): "\(error)"
    case .url(let error): "\(error)"
    }
  }
}

/// A signature and what it was made of, step by step.
package struct Signature {
  package let canonicalRequest: CanonicalRequest
  package let scope: SigningScope
  package let stringToSign: [UInt8]
  package let code: AuthenticationCode

  /// The value of the `Authorization` header ("Add the signature to the request", AWS Signature Version 4).
  package func authorization(accessKeyID: String) -> String {
    var value: [UInt8] = []
    value.reserveCapacity(256)
    value.append(contentsOf: "AWS4-HMAC-SHA256 Credential=".utf8)
    value.append(contentsOf: accessKeyID.utf8)
    value.append(UInt8(ascii: "/"))
    value.append(contentsOf: scope.text.utf8)
    value.append(contentsOf: ", SignedHeaders=".utf8)
    value.append(contentsOf: canonicalRequest.signedHeaders.utf8)
    value.append(contentsOf: ", Signature=".utf8)
    code.appendHexDigits(to: &value)
    return String(decoding: value, as: UTF8.self)
  }
}

/// Signs requests to one service in one region (AWS Signature Version 4).
///
/// Keeps what signatures share: the contexts of libcrypto, and the signing key, which only changes with the day and
/// the secret.
package struct RequestSigner: ~Copyable {
  let region: String
  let service: String
  private let digests: DigestContext
  private let codes: AuthenticationContext
  private var key: (scope: SigningScope, secretAccessKey: Secret, code: AuthenticationCode)?
  private var lastTimestamp: (second: Int64, text: String)?

  package init(region: String, service: String) throws(CryptographyError) {
    let digests = try DigestContext()
    let codes = try AuthenticationContext()
    self.region = region
    self.service = service
    self.digests = digests
    self.codes = codes
  }

  /// Adds `X-Amz-Date`, `X-Amz-Security-Token` where the credentials have one, and `Authorization`.
  ///
  /// Signs the host and every header that `request` has, but those that change on the way. `payloadHash` spares the
  /// digest of a body that was signed before.
  package mutating func sign(
    _ request: inout HTTPRequest, with credentials: Credentials, at time: WallTime,
    payloadHash: Digest? = nil
  ) throws(SigningError) {
    do {
      let target = try RequestTarget(request.url)
      let timestamp = timestamp(time)
      request.headers.append(("X-Amz-Date", timestamp))
      if let token = credentials.sessionToken {
        request.headers.append(("X-Amz-Security-Token", token.revealed))
      }
      var headers = request.headers.filter { !isNeverSigned($0.name) }
      if !headers.contains(where: { isSameHeaderName($0.name, "host") }) {
        headers.append(("host", target.hostHeader))
      }
      let canonicalRequest = CanonicalRequest(
        method: request.method, path: target.path, query: target.query, headers: headers,
        payloadHash: try payloadHash ?? digests.digest(of: request.body))
      let signature = try signature(
        of: canonicalRequest, at: timestamp, secretAccessKey: credentials.secretAccessKey)
      request.headers.append(("Authorization", signature.authorization(accessKeyID: credentials.accessKeyID)))
    } catch let error as URLError {
      throw .url(error)
    } catch let error as CryptographyError {
      throw .cryptography(error)
    } catch {
      throw .cryptography(CryptographyError(operation: "a signature"))
    }
  }

  /// The digest of a body, to be handed to every signature over it.
  package borrowing func payloadHash(_ payload: [UInt8]) throws(SigningError) -> Digest {
    do throws(CryptographyError) {
      return try digests.digest(of: payload)
    } catch {
      throw .cryptography(error)
    }
  }

  /// Signs a canonical request; `timestamp` is `20260102T030405Z`.
  package mutating func signature(
    of canonicalRequest: CanonicalRequest, at timestamp: String, secretAccessKey: Secret
  ) throws(CryptographyError) -> Signature {
    let scope = SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
    let hash = try digests.digest(of: canonicalRequest.bytes)
    let stringToSign = scope.stringToSign(hash, at: timestamp)
    let key = try signingKey(scope, secretAccessKey)
    let code = try codes.code(of: stringToSign, key: key.bytes.span)
    return Signature(
      canonicalRequest: canonicalRequest, scope: scope, stringToSign: stringToSign, code: code)
  }

  private mutating func signingKey(
    _ scope: SigningScope, _ secretAccessKey: Secret
  ) throws(CryptographyError) -> AuthenticationCode {
    if let key, key.scope == scope, key.secretAccessKey == secretAccessKey { return key.code }
    let code = try scope.signingKey(secretAccessKey, codes)
    key = (scope, secretAccessKey, code)
    return code
  }

  private mutating func timestamp(_ time: WallTime) -> String {
    let second = time.secondsSinceEpoch
    if let lastTimestamp, lastTimestamp.second == second { return lastTimestamp.text }
    let text = CivilTime(time).basicFormat
    lastTimestamp = (second, text)
    return text
  }
}

/// Whether a header may change between here and the service, which is why the AWS SDKs leave it out.
func isNeverSigned(_ name: String) -> Bool {
  neverSigned.contains { isSameHeaderName($0, name) }
}

private let neverSigned = [
  "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
  "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id", "authorization",
]
