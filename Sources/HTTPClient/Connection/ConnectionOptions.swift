import CCurl
import Platform
import WireFormats

extension EasyHandle {
  /// Sets the URL of a connection and its time limit; the other options stay as they are.
  borrowing func aim(
    at url: String, _ configuration: ConnectionConfiguration, timeout: Duration
  ) throws(HTTPError) {
    try set(CURLOPT_URL, to: url)
    try limit(to: timeout, configuration)
  }

  /// Sets the time limit for a connection and everything on it.
  borrowing func limit(
    to timeout: Duration, _ configuration: ConnectionConfiguration
  ) throws(HTTPError) {
    try set(CURLOPT_TIMEOUT_MS, to: Int(timeout.millisecondsForTimeout))
    // The limit for both phases together; ConnectionLimits watches each phase.
    let connectTimeout = min(timeout, ConnectionLimits.resolving + configuration.connectTimeout)
    try set(CURLOPT_CONNECTTIMEOUT_MS, to: Int(connectTimeout.millisecondsForTimeout))
  }

  /// Sets the options that all connections share: the proxy, the trusted authorities and the client identity.
  ///
  /// `amazonRoots` selects the shipped certificate authorities instead of the configured ones.
  borrowing func prepareConnections(
    secure isSecure: Bool, _ configuration: ConnectionConfiguration, amazonRoots: Bool
  ) throws(HTTPError) {
    try set(CURLOPT_NOSIGNAL, to: true)
    try set(CURLOPT_PATH_AS_IS, to: true)
    try set(CURLOPT_FOLLOWLOCATION, to: false)
    try set(CURLOPT_PROTOCOLS_STR, to: "http,https")
    try set(CURLOPT_DISALLOW_USERNAME_IN_URL, to: true)
    try set(CURLOPT_HTTP_VERSION, to: Int(CURL_HTTP_VERSION_1_1))
    // A resolver that doesn't answer takes ten seconds or more, and would delay the end of a call by that long.
    try set(CURLOPT_QUICK_EXIT, to: true)
    // A report every 300 s can reuse the connection of the last one. AWS's NAT gateways and load balancers forget an
    // idle connection after 350 s. Until then, a probe every minute keeps it alive, and detects its end before we use
    // it.
    try set(CURLOPT_MAXAGE_CONN, to: 345)
    try set(CURLOPT_TCP_KEEPALIVE, to: true)
    try set(CURLOPT_TCP_KEEPIDLE, to: 60)
    try set(CURLOPT_TCP_KEEPINTVL, to: 15)
    let proxy = try configuration.proxy(secure: isSecure)
    try set(CURLOPT_PROXY, to: proxy.url)
    try set(CURLOPT_PROXYUSERPWD, to: proxy.userInformation)
    try set(CURLOPT_NOPROXY, to: configuration.proxy.exceptions ?? "")
    try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, to: true)
    if HTTPClient.isSecure(proxy.url) {
      try configuration.checkFiles(amazonRoots: false)
      try set(CURLOPT_PROXY_CAINFO, to: configuration.trust.path)
      // libcurl's default is a directory such as /etc/ssl/certs, whose authorities would be trusted in addition to that file.
      try set(CURLOPT_PROXY_CAPATH, to: String?.none)
      try set(CURLOPT_PROXY_SSLVERSION, to: Int(CURL_SSLVERSION_TLSv1_2))
    } else if isSecure {
      try configuration.checkFiles(amazonRoots: amazonRoots)
    }
    try prepareTLS(configuration, amazonRoots: amazonRoots)
  }

  private borrowing func prepareTLS(
    _ configuration: ConnectionConfiguration, amazonRoots: Bool
  ) throws(HTTPError) {
    try set(CURLOPT_SSL_VERIFYPEER, to: 1)
    try set(CURLOPT_SSL_VERIFYHOST, to: 2)
    try set(CURLOPT_SSLVERSION, to: Int(CURL_SSLVERSION_TLSv1_2))
    // This disables libcurl's own protocols: one that the peer doesn't expect could only make the handshake fail.
    try set(CURLOPT_SSL_ENABLE_ALPN, to: false)
    try set(CURLOPT_CAINFO, to: amazonRoots ? nil : configuration.trust.path)
    if amazonRoots { try set(CURLOPT_CAINFO_BLOB, toBytesOf: amazonRootCertificates) }
    // A directory of certificates would prevent libcurl from caching the parsed bundle.
    try set(CURLOPT_CAPATH, to: String?.none)
  }
}

extension ConnectionConfiguration {
  /// Rejects files that OpenSSL would open and then read without end, such as a pipe that has no writer.
  fileprivate func checkFiles(amazonRoots: Bool) throws(HTTPError) {
    var files: [(path: String, name: String)] = amazonRoots ? [] : [(trust.path, trust.origin)]
    // A pair that was usable stays in use, whatever the files are now.
    if let identity, !identity.keeper.holdsPair {
      files.append((identity.certificateFile, "the certificate"))
      files.append((identity.keyFile, "the private key"))
    }
    for file in files where isSpecialFile(file.path) {
      throw .unusableFile("\(file.name), '\(file.path)', isn't a regular file")
    }
  }

  /// Returns whether to try the shipped certificate authorities first: for AWS hosts, unless others are configured.
  func usesAmazonRoots(for host: String) -> Bool {
    guard case .system = trust else { return false }
    return isAmazonHost(host)
  }

  /// Returns the protocol negotiation for the TLS handshake; nil if no protocol is configured.
  func negotiation() throws(HTTPError) -> ProtocolNegotiation? {
    guard let applicationProtocol else { return nil }
    guard let negotiation = ProtocolNegotiation(applicationProtocol) else {
      throw .invalidRequest("'\(applicationProtocol)' is not a valid application protocol")
    }
    return negotiation
  }
}

/// Returns whether a URL's scheme is `https`.
package func isSecure(_ url: String) -> Bool { URLParts(url).scheme?.lowercased() == "https" }

/// Returns the host of a URL in lower case; empty if it has none.
func host(of url: String) -> String { URLParts(url).host.lowercased() }

private func isAmazonHost(_ host: String) -> Bool {
  [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu"].contains { host.hasSuffix($0) }
}
