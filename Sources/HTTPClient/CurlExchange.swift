import CCurl
package import Platform

/// HTTP/1.1 over libcurl, one request at a time.
///
/// One easy handle serves every request, so that its connections, TLS sessions and parsed certificate bundle (21 ms
/// of the first request with 140 certificates) are used again. TLS is always verified, from version 1.2 on.
/// Redirects are never followed: they would carry credentials to wherever an answer says. Paths go out as they are,
/// dot segments included, because the signature is over the path as written.
package final class CurlExchange: HTTPExchange {
  package struct Configuration: Sendable {
    package var trust: TrustStore
    /// The part of a request's time that connecting may take, TLS included.
    package var connectTimeout: Duration = .seconds(5)
    /// Bytes of status lines and header fields, those of interim responses included.
    package var responseHeadLimit = 65_536
    package var responseBodyLimit = 1_048_576

    package init(trust: TrustStore) {
      self.trust = trust
    }

    /// What the environment asks for.
    package init(_ environment: Environment) {
      self.init(trust: TrustStore(environment))
    }
  }

  private let handle: EasyHandle
  private let configuration: Configuration

  package init(_ configuration: Configuration) throws(HTTPError) {
    self.configuration = configuration
    handle = try EasyHandle()
  }

  package func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    guard timeout > .zero else { throw .timedOut(.connecting, "no time was left") }
    let fields = try StringList(headerLines(of: request))
    let sink = ResponseSink(
      headLimit: configuration.responseHeadLimit, bodyLimit: configuration.responseBodyLimit)
    try handle.reset()
    try setConnectionOptions(timeout: timeout)
    try setTrust(for: request.url)
    try handle.set(CURLOPT_URL, to: request.url)
    try handle.set(CURLOPT_HTTPHEADER, to: fields)
    let code = try perform(request, into: sink)
    // The list dies at the end of this function and no earlier.
    _ = fields
    guard code == CURLE_OK else { throw error(for: code, sink, request) }
    return HTTPResponse(
      status: handle.number(CURLINFO_RESPONSE_CODE), headers: sink.headers, body: sink.body)
  }

  private func setConnectionOptions(timeout: Duration) throws(HTTPError) {
    try handle.set(CURLOPT_NOSIGNAL, to: true)
    try handle.set(CURLOPT_PATH_AS_IS, to: true)
    try handle.set(CURLOPT_FOLLOWLOCATION, to: false)
    try handle.set(CURLOPT_PROTOCOLS_STR, to: "http,https")
    try handle.set(CURLOPT_DISALLOW_USERNAME_IN_URL, to: true)
    try handle.set(CURLOPT_HTTP_VERSION, to: Int(CURL_HTTP_VERSION_1_1))
    // The protocol is known; a name that the other side doesn't expect could only fail the handshake.
    try handle.set(CURLOPT_SSL_ENABLE_ALPN, to: false)
    try handle.set(CURLOPT_TIMEOUT_MS, to: Int(timeout.millisecondsForTimeout))
    let connectTimeout = min(timeout, configuration.connectTimeout)
    try handle.set(CURLOPT_CONNECTTIMEOUT_MS, to: Int(connectTimeout.millisecondsForTimeout))
    // libcurl would otherwise find HTTP_PROXY and the rest by itself.
    try handle.set(CURLOPT_PROXY, to: "")
  }

  private func setTrust(for url: String) throws(HTTPError) {
    try handle.set(CURLOPT_SSL_VERIFYPEER, to: 1)
    try handle.set(CURLOPT_SSL_VERIFYHOST, to: 2)
    try handle.set(CURLOPT_SSLVERSION, to: Int(CURL_SSLVERSION_TLSv1_2))
    try handle.set(CURLOPT_CAINFO, to: configuration.trust.path)
    // A directory of certificates would keep libcurl from caching the parsed bundle.
    try handle.set(CURLOPT_CAPATH, to: String?.none)
  }

  private func perform(_ request: HTTPRequest, into sink: ResponseSink) throws(HTTPError) -> CURLcode {
    try handle.deliver(to: sink)
    if request.method == "GET" && request.body.isEmpty {
      try handle.set(CURLOPT_HTTPGET, to: true)
      return handle.perform()
    }
    try handle.set(CURLOPT_POST, to: true)
    try handle.set(CURLOPT_CUSTOMREQUEST, to: request.method)
    return try handle.perform(sending: request.body)
  }

  /// The header fields as libcurl takes them: a name with nothing after it takes away one that libcurl would add.
  private func headerLines(of request: HTTPRequest) throws(HTTPError) -> [String] {
    guard isToken(request.method) else { throw .invalidRequest("the method is '\(request.method)'") }
    var lines: [String] = []
    for (name, value) in request.headers {
      guard isToken(name) else { throw .invalidRequest("the header name is '\(name)'") }
      guard !value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
        throw .invalidRequest("a control character in the value of the header \(name)")
      }
      lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
    }
    for implicit in ["Accept", "Expect", "Content-Type"]
    where !request.headers.contains(where: { isSameHeaderName($0.name, implicit) }) {
      lines.append("\(implicit):")
    }
    return lines
  }

  private func error(for code: CURLcode, _ sink: ResponseSink, _ request: HTTPRequest) -> HTTPError {
    if let part = sink.excess {
      let limit = part == .head ? configuration.responseHeadLimit : configuration.responseBodyLimit
      return .responseTooLarge(part, limit: limit)
    }
    let proxyStatus = handle.number(CURLINFO_HTTP_CONNECTCODE)
    if proxyStatus >= 300 {
      return .proxyRefused(status: proxyStatus, handle.reason(for: code))
    }
    let wasSent = handle.number(CURLINFO_REQUEST_SIZE) > 0
    return HTTPError(
      code: code, reason: handle.reason(for: code), wasSent: wasSent,
      trust: configuration.trust)
  }
}

/// Whether `text` is a token of RFC 9110, section 5.6.2: what a method or a header name consists of.
private func isToken(_ text: String) -> Bool {
  !text.isEmpty
    && text.utf8.allSatisfy { byte in
      (0x21...0x7E).contains(byte) && !#"()<>@,;:\"/[]?={}"#.utf8.contains(byte)
    }
}
