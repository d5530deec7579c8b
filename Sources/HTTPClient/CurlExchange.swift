import CCurl
import Platform

/// HTTP/1.1 over libcurl, one request at a time.
///
/// One easy handle serves every request, so that its connections, TLS sessions and parsed certificate bundle (21 ms
/// of the first request with 140 certificates) are used again. TLS is always verified, from version 1.2 on.
/// Redirects are never followed: they would carry credentials to wherever an answer says. Paths go out as they are,
/// dot segments included, because the signature is over the path as written.
package final class CurlExchange: HTTPExchange {
  private let handle: EasyHandle
  private let configuration: Configuration
  private let negotiation: ProtocolNegotiation?
  private let connectTo: StringList
  /// Hosts of AWS that the shipped certificate authorities don't vouch for, such as those of another partition.
  private var hostsOfOtherAuthorities: Set<String> = []

  package init(_ configuration: Configuration) throws(HTTPError) {
    let handle = try EasyHandle()
    let connectTo = try StringList(configuration.connectTo)
    var negotiation: ProtocolNegotiation?
    if let name = configuration.applicationProtocol {
      negotiation = ProtocolNegotiation(name)
      if negotiation == nil { throw .invalidRequest("the application protocol is '\(name)'") }
    }
    self.configuration = configuration
    self.negotiation = negotiation
    self.handle = handle
    self.connectTo = connectTo
  }

  package func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    let start = BootTime.now
    guard usesAmazonRoots(for: request.url) else {
      return try exchangeOnce(request, timeout: timeout, amazonRoots: false)
    }
    do throws(HTTPError) {
      return try exchangeOnce(request, timeout: timeout, amazonRoots: true)
    } catch .notTrusted {
      // The handshake failed, so nothing was sent yet.
      hostsOfOtherAuthorities.insert(host(of: request.url))
      return try exchangeOnce(request, timeout: timeout - start.duration(to: .now), amazonRoots: false)
    }
  }

  private func exchangeOnce(
    _ request: HTTPRequest, timeout: Duration, amazonRoots: Bool
  ) throws(HTTPError) -> HTTPResponse {
    guard timeout > .zero else { throw .timedOut(.connecting, "no time was left") }
    let fields = try StringList(headerLines(of: request))
    let sink = ResponseSink(
      headLimit: configuration.responseHeadLimit, bodyLimit: configuration.responseBodyLimit)
    let gate = AddressGate(configuration.allowedAddresses)
    try handle.reset()
    try setConnectionOptions(for: request.url, timeout: timeout)
    try handle.openSockets(through: gate)
    try setTLSOptions(amazonRoots: amazonRoots)
    try handle.set(CURLOPT_URL, to: request.url)
    try handle.set(CURLOPT_HTTPHEADER, to: fields)
    let code = try perform(request, into: sink)
    // libcurl has pointers to these three: they have to live until here.
    withExtendedLifetime(sink) {}
    withExtendedLifetime(gate) {}
    withExtendedLifetime(fields) {}
    guard code == CURLE_OK else { throw error(for: code, sink, gate) }
    return HTTPResponse(
      status: handle.number(CURLINFO_RESPONSE_CODE), headers: sink.headers, body: sink.body)
  }

  private func setConnectionOptions(for url: String, timeout: Duration) throws(HTTPError) {
    try handle.set(CURLOPT_NOSIGNAL, to: true)
    try handle.set(CURLOPT_PATH_AS_IS, to: true)
    try handle.set(CURLOPT_FOLLOWLOCATION, to: false)
    try handle.set(CURLOPT_PROTOCOLS_STR, to: "http,https")
    try handle.set(CURLOPT_DISALLOW_USERNAME_IN_URL, to: true)
    try handle.set(CURLOPT_HTTP_VERSION, to: Int(CURL_HTTP_VERSION_1_1))
    try handle.set(CURLOPT_TIMEOUT_MS, to: Int(timeout.millisecondsForTimeout))
    let connectTimeout = min(timeout, configuration.connectTimeout)
    try handle.set(CURLOPT_CONNECTTIMEOUT_MS, to: Int(connectTimeout.millisecondsForTimeout))
    // A report every 300 s may use the connection of the last one; after 350 s, NAT gateways and load balancers of
    // AWS have forgotten it. Until then, probes every minute keep it known, and tell of its end before it is used.
    try handle.set(CURLOPT_MAXAGE_CONN, to: 345)
    try handle.set(CURLOPT_TCP_KEEPALIVE, to: true)
    try handle.set(CURLOPT_TCP_KEEPIDLE, to: 60)
    try handle.set(CURLOPT_TCP_KEEPINTVL, to: 15)
    try handle.set(CURLOPT_PROXY, to: configuration.proxy.proxy(for: url))
    try handle.set(CURLOPT_NOPROXY, to: configuration.proxy.exceptions ?? "")
    try handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, to: true)
    if !configuration.connectTo.isEmpty { try handle.set(CURLOPT_CONNECT_TO, to: connectTo) }
  }

  private func setTLSOptions(amazonRoots: Bool) throws(HTTPError) {
    try handle.set(CURLOPT_SSL_VERIFYPEER, to: 1)
    try handle.set(CURLOPT_SSL_VERIFYHOST, to: 2)
    try handle.set(CURLOPT_SSLVERSION, to: Int(CURL_SSLVERSION_TLSv1_2))
    // libcurl's own protocols; a name that the other side doesn't expect could only fail the handshake.
    try handle.set(CURLOPT_SSL_ENABLE_ALPN, to: false)
    if let negotiation { try handle.negotiate(negotiation) }
    try handle.set(CURLOPT_CAINFO, to: amazonRoots ? nil : configuration.trust.path)
    if amazonRoots { try handle.set(CURLOPT_CAINFO_BLOB, toBytesOf: amazonRootCertificates) }
    // A directory of certificates would keep libcurl from caching the parsed bundle.
    try handle.set(CURLOPT_CAPATH, to: String?.none)
    if let identity = configuration.identity {
      try handle.set(CURLOPT_SSLCERTTYPE, to: "PEM")
      try handle.set(CURLOPT_SSLCERT, to: identity.certificateFile)
      try handle.set(CURLOPT_SSLKEYTYPE, to: "PEM")
      try handle.set(CURLOPT_SSLKEY, to: identity.keyFile)
      // Without any password, OpenSSL would ask for one on the terminal.
      try handle.set(CURLOPT_KEYPASSWD, to: identity.keyPassword ?? "")
    }
  }

  /// Whether the shipped certificate authorities are tried first: for hosts of AWS, where nobody named other ones.
  private func usesAmazonRoots(for url: String) -> Bool {
    guard case .system = configuration.trust else { return false }
    let host = host(of: url)
    return isAmazonHost(host) && !hostsOfOtherAuthorities.contains(host)
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

  private func error(for code: CURLcode, _ sink: ResponseSink, _ gate: AddressGate) -> HTTPError {
    if let part = sink.excess {
      let limit = part == .head ? configuration.responseHeadLimit : configuration.responseBodyLimit
      return .responseTooLarge(part, limit: limit)
    }
    if gate.refused {
      return .invalidRequest(
        "the host is at an address that may not be asked for credentials without TLS; "
          + "allowed are loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23")
    }
    let proxyStatus = handle.number(CURLINFO_HTTP_CONNECTCODE)
    if proxyStatus >= 300 {
      return .proxyRefused(status: proxyStatus, handle.reason(for: code))
    }
    // 1 is libcurl's "not verified yet"; above are OpenSSL's reasons (X509_STORE_CTX_get_error(3)).
    if code == CURLE_SSL_CONNECT_ERROR && handle.number(CURLINFO_SSL_VERIFYRESULT) > 1 {
      return .notTrusted(handle.reason(for: code))
    }
    return HTTPError(
      code: code, reason: handle.reason(for: code), wasSent: handle.number(CURLINFO_REQUEST_SIZE) > 0,
      trust: configuration.trust)
  }
}

/// The host of a URL, lower case; empty where it has none.
private func host(of url: String) -> String {
  guard let colon = url.firstIndex(of: ":") else { return "" }
  return url[colon...].dropFirst().drop { $0 == "/" }.prefix { !"/?#:".contains($0) }.lowercased()
}

private func isAmazonHost(_ host: String) -> Bool {
  [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu"].contains { host.hasSuffix($0) }
}

/// Whether `text` is a token of RFC 9110, section 5.6.2: what a method or a header name consists of.
private func isToken(_ text: String) -> Bool {
  !text.isEmpty
    && text.utf8.allSatisfy { byte in
      (0x21...0x7E).contains(byte) && !#"()<>@,;:\"/[]?={}"#.utf8.contains(byte)
    }
}
