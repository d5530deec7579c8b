import CCurl
import Platform
import WireFormats

extension ConnectionConfiguration {
  /// The proxy that a connection to `url` goes through; nil where it goes straight to its host.
  ///
  /// How NO_PROXY is read is libcurl's own, and only from 8.7 on it tells what came of that. So it is asked to connect,
  /// to one port for a proxy and to another one without, and to neither of them it does.
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
      // Whoever wants to connect has the same reason from libcurl.
      return nil
    }
  }
}

extension Proxy {
  /// Where it is, such as `proxy:3128 (HTTPS_PROXY)`, with the port that libcurl takes where the variable names none.
  var name: String {
    let parts = URLParts(url)
    let port = parts.port != nil ? "" : isSecure(url) ? ":443" : ":1080"
    return "\(parts.authority)\(port) (\(variable))"
  }

  /// Whether it speaks HTTP, and so answers whether it has connected.
  fileprivate var isHTTP: Bool { url.prefix(4).lowercased() == "http" }
}

extension EasyHandle {
  /// `error`, or that the proxy failed, where nobody but a proxy was spoken to: libcurl has one code for both.
  ///
  /// `tunnels` tells whether a proxy was to be asked for a connection, rather than for the answer to a request.
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
