import CCurl
import Platform
import WireFormats

extension ConnectionConfiguration {
  /// Returns the proxy that a connection to `url` uses; nil if the connection is direct.
  ///
  /// libcurl before 8.7 doesn't report whether NO_PROXY applied. To find out, this gives libcurl a dummy proxy port and
  /// a dummy direct port, checks which one it tries to open, and refuses both.
  func proxyInUse(for url: String) -> Proxy? {
    let proxyPort: UInt16 = 1
    do throws(HTTPError) {
      let proxy = try self.proxy(secure: isSecure(url))
      guard !proxy.url.isEmpty else { return nil }
      let handle = try EasyHandle()
      let direct = try StringList(["::127.0.0.1:2"])
      let gate = AddressGate(.nothing)
      try handle.reset()
      try handle.set(CURLOPT_NOSIGNAL, to: true)
      try handle.set(CURLOPT_PROTOCOLS_STR, to: "http,https")
      try handle.set(CURLOPT_URL, to: url)
      try handle.set(CURLOPT_PROXY, to: "http://127.0.0.1:\(proxyPort)")
      try handle.set(CURLOPT_NOPROXY, to: self.proxy.exceptions ?? "")
      try handle.set(CURLOPT_CONNECT_TO, to: direct)
      try handle.openSockets(through: gate)
      _ = handle.perform()
      withExtendedLifetime(direct) {}
      return gate.refusedPort == proxyPort ? proxy : nil
    } catch {
      // libcurl reports the same error to the caller that connects.
      return nil
    }
  }

  /// Whether a connection to `url` uses a proxy that itself uses TLS (`https://` in its URL).
  func usesSecureProxy(for url: String) -> Bool {
    guard let proxy = try? proxy(secure: isSecure(url)), isSecure(proxy.url) else { return false }
    return proxyInUse(for: url) != nil
  }
}

extension Proxy {
  /// The proxy's address, such as `proxy:3128 (HTTPS_PROXY)`, with libcurl's default port if the variable names none.
  var name: String {
    let parts = URLParts(url)
    let port = parts.port != nil ? "" : isSecure(url) ? ":443" : ":1080"
    return "\(parts.authority)\(port) (\(variable))"
  }

  /// Whether the proxy uses HTTP, and therefore reports whether it has connected.
  fileprivate var isHTTP: Bool { url.prefix(4).lowercased() == "http" }
}

extension EasyHandle {
  /// Returns `error`, or a proxy failure if only a proxy was contacted: libcurl uses one code for both.
  ///
  /// `tunnels` says whether a proxy had to open a tunnel, rather than forward a request.
  borrowing func namingProxy(
    in error: HTTPError, _ url: String, _ configuration: ConnectionConfiguration, tunnels: Bool
  ) -> HTTPError {
    let isConnected = offset(CURLINFO_CONNECT_TIME_T) > 0
    let isThrough = number(CURLINFO_HTTP_CONNECTCODE) > 0
    let words: String
    var isOfProxy = !isConnected
    switch error {
    case .notConnected(let reason), .timedOut(.connecting, let reason): words = reason
    case .connectionLost(let reason), .emptyResponse(let reason), .handshakeFailed(let reason):
      words = reason
      isOfProxy = false
    case .other(Int(CURLE_PROXY.rawValue), let reason):
      words = reason
      isOfProxy = true
    default: return error
    }
    guard isOfProxy || tunnels && !isThrough, let proxy = configuration.proxyInUse(for: url),
      isOfProxy || proxy.isHTTP
    else { return error }
    return .proxyFailed("\(proxy.name): \(words)")
  }
}
