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
    scope.append(to: &value)
    value.append(contentsOf: ", SignedHeaders=".utf8)
    value.append(contentsOf: canonicalRequest.signedHeaderBytes)
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
  /// Holds the signing key of ``key``.
  private let codes: AuthenticationContext
  private let derivation: AuthenticationContext
  private var key: (scope: SigningScope, secretAccessKey: Secret)?
  private var lastTimestamp: (second: Int64, text: String)?

  package init(region: String, service: String) throws(CryptographyError) {
    let digests = try DigestContext()
    let codes = try AuthenticationContext()
    let derivation = try AuthenticationContext()
    self.region = region
    self.service = service
    self.digests = digests
    self.codes = codes
    self.derivation = derivation
  }

  /// Adds `X-Amz-Date`, `X-Amz-Security-Token` where the credentials have one, and `Authorization`.
  ///
  /// Signs the host and every header that `request` has, but those that change on the way. `payloadHash` spares the
  /// digest of a body that was signed before.
  package mutating func sign(
    _ request: inout HTTPRequest, with credentials: Credentials, at time: WallTime,
    payloadHash: Digest? = nil
  ) throws(SigningError) {
    let target: RequestTarget
    do throws(URLError) {
      target = try RequestTarget(request.url)
    } catch {
      throw .url(error)
    }
    do throws(CryptographyError) {
      let timestamp = timestamp(time)
      request.headers.reserveCapacity(request.headers.count + 4)
      request.headers.append(("X-Amz-Date", timestamp))
      if let token = credentials.sessionToken {
        request.headers.append(("X-Amz-Security-Token", token.revealed))
      }
      let hash = if let payloadHash { payloadHash } else { try digests.digest(of: request.body) }
      let canonicalRequest = CanonicalRequest(
        request.method, Array(target.path.utf8)[...], Array(target.query.utf8)[...],
        signedHeaders(request.headers, host: target.hostHeader),
        hash, normalizingPath: true)
      let signature = try signature(
        of: canonicalRequest, at: timestamp, secretAccessKey: credentials.secretAccessKey)
      request.headers.append(("Authorization", signature.authorization(accessKeyID: credentials.accessKeyID)))
    } catch {
      throw .cryptography(error)
    }
  }

  /// Those of `headers` that are signed, and `host` where they don't name one.
  private borrowing func signedHeaders(_ headers: [HTTPHeader], host: String) -> [HTTPHeader] {
    var signed: [HTTPHeader] = []
    signed.reserveCapacity(headers.count + 1)
    var hasHost = false
    for header in headers where !isNeverSigned(header.name) {
      hasHost = hasHost || isSameHeaderName(header.name, "host")
      signed.append(header)
    }
    if !hasHost { signed.append(("host", host)) }
    return signed
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
    let scope = scope(of: timestamp)
    let hash = try digests.digest(of: canonicalRequest.bytes)
    let stringToSign = scope.stringToSign(hash, at: timestamp)
    let code = try code(of: stringToSign, scope, secretAccessKey)
    return Signature(
      canonicalRequest: canonicalRequest, scope: scope, stringToSign: stringToSign, code: code)
  }

  private mutating func code(
    of stringToSign: [UInt8], _ scope: SigningScope, _ secretAccessKey: Secret
  ) throws(CryptographyError) -> AuthenticationCode {
    if let key, key.scope == scope, key.secretAccessKey == secretAccessKey {
      return try codes.codeUnderLastKey(of: stringToSign)
    }
    key = nil
    let signingKey = try scope.signingKey(secretAccessKey, derivation)
    let code = try codes.code(of: stringToSign, key: signingKey.bytes.span)
    key = (scope, secretAccessKey)
    return code
  }

  /// The scope of a timestamp's day; that of the last key where it is the same.
  private func scope(of timestamp: String) -> SigningScope {
    if let key, timestamp.utf8.starts(with: key.scope.date.utf8) { return key.scope }
    return SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
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
  neverSigned.contains { $0.utf8.count == name.utf8.count && isSameHeaderName($0, name) }
}

private let neverSigned = [
  "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
  "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id", "authorization",
]
