import HTTPClient
import WireFormats

/// The texts that a signature is computed from, written once for all requests that differ only in time and body.
///
/// A device publishes to one topic, with the same credentials for an hour. From one publish to the next, only a time
/// and three digests change in these texts, and they are overwritten in place.
struct SignedForm {
  private let method: String
  private let url: String
  private let headers: [HeaderField]
  private let credentials: Credentials
  private let scope: SigningScope
  private var canonicalRequest: [UInt8]
  /// The offset in ``canonicalRequest`` at which the value of `x-amz-date` ends.
  private let timeEnd: Int
  private var stringToSign: [UInt8]
  private var authorization: [UInt8]

  /// Creates the form of `request`, which must not be signed yet.
  init(
    _ request: HTTPRequest, _ credentials: Credentials, _ moment: SigningMoment
  ) throws(URLError) {
    method = request.method
    url = request.url
    headers = request.headers
    self.credentials = credentials
    scope = moment.scope
    let target = try HTTPURL(request.url)
    var signed = request.headers.filter { !isNeverSigned($0.name) }
    if !signed.contains(where: { $0.name == .host }) {
      signed.append(HeaderField(.host, target.hostHeader))
    }
    if let token = credentials.sessionToken { signed.append(HeaderField(.amzSecurityToken, token.revealed)) }
    signed.append(HeaderField(.amzDate, moment.timestamp))
    // Zeros are placeholders for the digests and the code.
    let zeros = InlineArray<32, UInt8>(repeating: 0)
    let form = CanonicalRequest(
      method: request.method, path: target.path, query: target.query, headers: signed,
      payloadHash: Digest(bytes: zeros))
    canonicalRequest = form.bytes
    timeEnd = form.endOfLastValue
    stringToSign = scope.stringToSign(Digest(bytes: zeros), at: moment.timestamp)
    authorization = authorizationValue(
      credentials.accessKeyID, scope, form, AuthenticationCode(bytes: zeros))
  }

  /// Returns whether `request`, which must not be signed yet, has this form.
  func isOf(_ request: HTTPRequest, _ credentials: Credentials, _ scope: SigningScope) -> Bool {
    url == request.url && method == request.method && self.scope == scope && self.credentials == credentials
      // Compare bytes, as they are signed: strings are equal even if one spells é as a letter and a combining mark.
      && headers.elementsEqual(request.headers) {
        $0.name == $1.name && $0.value.utf8.elementsEqual($1.value.utf8)
      }
  }

  /// Returns the value of the `Authorization` header for a body with the digest `payloadHash`.
  ///
  /// `timestamp` must be on the day of the scope.
  mutating func authorization(
    at timestamp: String, _ payloadHash: Digest, _ digests: borrowing DigestContext, _ key: inout SigningKey
  ) throws(CryptographyError) -> String {
    write(timestamp, before: timeEnd, in: &canonicalRequest)
    write(payloadHash.bytes, atEndOf: &canonicalRequest)
    write(timestamp, before: SigningScope.timeEnd, in: &stringToSign)
    write(try digests.digest(of: canonicalRequest).bytes, atEndOf: &stringToSign)
    let code = try key.code(of: stringToSign, scope, credentials.secretAccessKey)
    write(code.bytes, atEndOf: &authorization)
    return String(decoding: authorization, as: UTF8.self)
  }
}

/// Overwrites the bytes before `end` with `text`.
private func write(_ text: String, before end: Int, in bytes: inout [UInt8]) {
  let text = text.utf8.span
  var place = bytes.mutableSpan
  for index in text.indices { place[end - text.count + index] = text[index] }
}

/// Overwrites the last 64 bytes with the hexadecimal digits of `digest`.
private func write(_ digest: InlineArray<32, UInt8>, atEndOf bytes: inout [UInt8]) {
  var place = bytes.mutableSpan
  writeHexDigits(digest, to: &place, at: place.count - 64)
}
