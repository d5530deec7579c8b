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

/// A signature and what it was made of, step by step.
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

/// The value of the `Authorization` header ("Add the signature to the request", AWS Signature Version 4); the code is
/// the end of it.
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
/// Keeps what signatures share: the contexts of libcrypto, the signing key, which only changes with the day and the
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

  /// Adds `X-Amz-Date`, `X-Amz-Security-Token` where the credentials have one, and `Authorization`.
  ///
  /// Signs the host and every header that `request` has, but those that change on the way. `payloadHash` spares the
  /// digest of a body that was signed before.
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

/// When a signature is made: as it is written, and as the scope of that day.
struct SigningMoment {
  let second: Int64
  /// `20260102T030405Z`
  let timestamp: String
  let scope: SigningScope

  init(_ time: WallTime, region: String, service: String) {
    second = time.secondsSinceEpoch
    timestamp = CivilTime(time).basicFormat
    scope = SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
  }
}

/// The key of a scope and a secret, kept while both stay the same.
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

/// Whether a header may change between here and the service, which is why the AWS SDKs leave it out.
func isNeverSigned(_ name: HeaderName) -> Bool { neverSigned.contains(name) }

private let neverSigned: [HeaderName] = [
  "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
  "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id", "authorization",
]
