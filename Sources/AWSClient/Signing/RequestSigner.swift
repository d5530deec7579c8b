package import HTTPClient
package import Platform
package import WireFormats

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

/// A signature and the intermediate results that it was computed from.
package struct Signature {
  package let canonicalRequest: CanonicalRequest
  package let scope: SigningScope
  package let stringToSign: [UInt8]
  package let code: AuthenticationCode

  /// The value of the `Authorization` header.
  package func authorization(accessKeyID: String) -> String {
    String(decoding: authorizationValue(accessKeyID, scope, canonicalRequest, code), as: UTF8.self)
  }
}

/// Returns the value of the `Authorization` header ("Add the signature to the request", AWS Signature Version 4), which
/// ends with the code.
func authorizationValue(
  _ accessKeyID: String, _ scope: SigningScope, _ canonicalRequest: CanonicalRequest,
  _ code: AuthenticationCode
) -> [UInt8] {
  var value = Array("AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope.text), SignedHeaders=".utf8)
  value.append(contentsOf: canonicalRequest.signedHeaderBytes)
  value.append(contentsOf: ", Signature=".utf8)
  code.appendHexDigits(to: &value)
  return value
}

/// Signs requests to one service in one region (AWS Signature Version 4).
///
/// Keeps what signatures share: the libcrypto contexts, the signing key, which changes only with the day and the
/// secret, and the texts of the last signature.
package struct RequestSigner: ~Copyable {
  let region: String
  let service: String
  private let digests: DigestContext
  private var key: SigningKey
  private var lastForm: SignedForm?
  private var lastMoment: SigningMoment?

  package init(region: String, service: String) throws(CryptographyError) {
    let digests = try DigestContext()
    let key = try SigningKey()
    self.region = region
    self.service = service
    self.digests = digests
    self.key = key
  }

  /// Adds `X-Amz-Date`, `X-Amz-Security-Token` if the credentials have a session token, and `Authorization`.
  ///
  /// Signs the host and every header of `request`, except those that may change on the way. Pass `payloadHash` to avoid
  /// computing the digest of the same body again.
  package mutating func sign(
    _ request: inout HTTPRequest, with credentials: Credentials, at time: WallTime,
    payloadHash: Digest? = nil
  ) throws(SigningError) {
    let moment = moment(time)
    if lastForm?.isOf(request, credentials, moment.scope) != true {
      do throws(URLError) {
        lastForm = try SignedForm(request, credentials, moment)
      } catch {
        throw .url(error)
      }
    }
    do throws(CryptographyError) {
      let hash = if let payloadHash { payloadHash } else { try digests.digest(of: request.body) }
      let authorization = try lastForm?.authorization(at: moment.timestamp, hash, digests, &key)
      request.headers.reserveCapacity(request.headers.count + 4)
      request.headers.append(HeaderField(.amzDate, moment.timestamp))
      if let token = credentials.sessionToken {
        request.headers.append(HeaderField(.amzSecurityToken, token.revealed))
      }
      if let authorization { request.headers.append(HeaderField(.authorization, authorization)) }
    } catch {
      throw .cryptography(error)
    }
  }

  /// Returns the digest of a body, to pass to every signature over that body.
  package borrowing func payloadHash(_ payload: [UInt8]) throws(SigningError) -> Digest {
    do throws(CryptographyError) {
      return try digests.digest(of: payload)
    } catch {
      throw .cryptography(error)
    }
  }

  /// Returns the signature of a canonical request; `timestamp` has the form `20260102T030405Z`.
  package mutating func signature(
    of canonicalRequest: CanonicalRequest, at timestamp: String, secretAccessKey: Secret
  ) throws(CryptographyError) -> Signature {
    let scope = SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
    let hash = try digests.digest(of: canonicalRequest.bytes)
    let stringToSign = scope.stringToSign(hash, at: timestamp)
    let code = try key.code(of: stringToSign, scope, secretAccessKey)
    return Signature(
      canonicalRequest: canonicalRequest, scope: scope, stringToSign: stringToSign, code: code)
  }

  private mutating func moment(_ time: WallTime) -> SigningMoment {
    if let lastMoment, lastMoment.second == time.secondsSinceEpoch { return lastMoment }
    let moment = SigningMoment(time, region: region, service: service)
    lastMoment = moment
    return moment
  }
}

/// The time of a signature, as a timestamp and as the scope of its day.
struct SigningMoment {
  let second: Int64
  /// The time in the form `20260102T030405Z`.
  let timestamp: String
  let scope: SigningScope

  init(_ time: WallTime, region: String, service: String) {
    second = time.secondsSinceEpoch
    timestamp = CivilTime(time).basicFormat
    scope = SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
  }
}

/// The signing key of a scope and a secret, kept while both stay the same.
struct SigningKey: ~Copyable {
  /// Holds the signing key of ``owner``.
  private let codes: AuthenticationContext
  private let derivation: AuthenticationContext
  private var owner: (scope: SigningScope, secretAccessKey: Secret)?

  init() throws(CryptographyError) {
    let codes = try AuthenticationContext()
    let derivation = try AuthenticationContext()
    self.codes = codes
    self.derivation = derivation
  }

  mutating func code(
    of stringToSign: [UInt8], _ scope: SigningScope, _ secretAccessKey: Secret
  ) throws(CryptographyError) -> AuthenticationCode {
    if let owner, owner.scope == scope, owner.secretAccessKey == secretAccessKey {
      return try codes.codeUnderLastKey(of: stringToSign)
    }
    owner = nil
    let signingKey = try scope.signingKey(secretAccessKey, derivation)
    let code = try codes.code(of: stringToSign, key: signingKey.bytes.span)
    owner = (scope, secretAccessKey)
    return code
  }
}

/// Returns whether a header may change on the way to the service; the AWS SDKs don't sign such headers.
func isNeverSigned(_ name: HeaderName) -> Bool { neverSigned.contains(name) }

private let neverSigned: [HeaderName] = [
  "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
  "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id", "authorization",
]
