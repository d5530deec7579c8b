package import Platform
package import WireFormats

/// The parts of a request that a signature in the query covers.
package struct PresignableRequest {
  package let method: String
  /// The path as on the wire; ``query`` has the same form.
  package let path: String
  package let query: String
  /// The headers to sign, which must include `Host`.
  package let headers: [HeaderField]
  package let payloadHash: Digest
  package let normalizingPath: Bool

  package init(
    method: String, path: String, query: String, headers: [HeaderField], payloadHash: Digest,
    normalizingPath: Bool = true
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.payloadHash = payloadHash
    self.normalizingPath = normalizingPath
  }
}

/// The parameters of a signature in the query.
package struct PresigningTerms: Sendable {
  /// The time of the signature, such as `20260102T030405Z`.
  package let timestamp: String
  /// The validity of the signature in seconds; nil if the service determines it.
  package let lifetime: Int?
  /// Whether the signature covers the session token. AWS IoT's WebSocket endpoint requires the token after the
  /// signature.
  package let signsSessionToken: Bool

  package init(timestamp: String, lifetime: Int?, signsSessionToken: Bool = true) {
    self.timestamp = timestamp
    self.lifetime = lifetime
    self.signsSessionToken = signsSessionToken
  }

  package init(at time: WallTime, lifetime: Int?, signsSessionToken: Bool = true) {
    self.init(
      timestamp: CivilTime(time).basicFormat, lifetime: lifetime, signsSessionToken: signsSessionToken)
  }
}

extension RequestSigner {
  /// Signs `request` in its query, for a client that can't send an `Authorization` header. Returns the target (path and
  /// query) with the signature, and the signature itself.
  ///
  /// Implements "Add signing information to the query string" (AWS Signature Version 4).
  package mutating func presign(
    _ request: PresignableRequest, with credentials: Credentials, _ terms: PresigningTerms
  ) throws(CryptographyError) -> (target: String, signature: Signature) {
    let scope = SigningScope(date: String(terms.timestamp.prefix(8)), region: region, service: service)
    var parameters = [
      ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
      ("X-Amz-Credential", "\(credentials.accessKeyID)/\(scope.text)"),
      ("X-Amz-Date", terms.timestamp), ("X-Amz-SignedHeaders", canonical(request, "").signedHeaders),
    ]
    if let lifetime = terms.lifetime { parameters.append(("X-Amz-Expires", "\(lifetime)")) }
    var trailing: [(String, String)] = []
    if let token = credentials.sessionToken {
      let parameter = ("X-Amz-Security-Token", token.revealed)
      if terms.signsSessionToken { parameters.append(parameter) } else { trailing.append(parameter) }
    }
    let separator = request.query.isEmpty ? "" : "&"
    let query = request.query + separator + encoded(parameters)
    let signature = try signature(
      of: canonical(request, query), at: terms.timestamp, secretAccessKey: credentials.secretAccessKey)
    trailing.insert(("X-Amz-Signature", signature.code.hex), at: 0)
    return ("\(request.path)?\(query)&\(encoded(trailing))", signature)
  }

  private borrowing func canonical(_ request: PresignableRequest, _ query: String) -> CanonicalRequest {
    CanonicalRequest(
      method: request.method, path: request.path, query: query, headers: request.headers,
      payloadHash: request.payloadHash, normalizingPath: request.normalizingPath)
  }
}

private func encoded(_ parameters: [(String, String)]) -> String {
  parameters.map { "\($0)=\(percentEncoding($1.utf8))" }.joined(separator: "&")
}
