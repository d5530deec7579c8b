import CCurl
import Glibc
package import Platform
import WireFormats

/// A connection that libcurl opens, through proxies and TLS, and that then carries the caller's own bytes
/// (`CURLOPT_CONNECT_ONLY`, curl_easy_send(3)).
///
/// Trust, client identity and protocol negotiation are the same as in a ``CurlExchange`` with this configuration.
package final class CurlConnection {
  private let handle: EasyHandle
  private let preparation: TLSPreparation?
  private let connectTo: StringList
  private let gate: AddressGate
  private let configuration: ConnectionConfiguration
  private let time: any Waiter
  private let socket: Int32

  /// The descriptor of the socket. If ``receive(into:limit:until:)`` timed out, it becomes readable when bytes arrive, because
  /// libcurl then holds no decrypted bytes.
  package var descriptor: Int32 { socket }

  /// Connects to the host of `url`: `https://` for TLS, `http://` for none.
  ///
  /// Gives up within about a second if the process is asked to stop: nothing has been sent that could be answered.
  package init(
    to url: String, _ configuration: ConnectionConfiguration, time: any Waiter,
    until deadline: BootTime
  ) throws(HTTPError) {
    let handle = try EasyHandle()
    let connectTo = try StringList(configuration.connectTo)
    let limits = ConnectionLimits(connecting: configuration.connectTimeout)
    let gate = AddressGate(configuration.addressRule(secure: isSecure(url)), limits)
    let preparation = try TLSPreparation(configuration)
    preparation?.begin(hasSecureProxy: configuration.usesSecureProxy(for: url))
    let stop = StopGate(patience: .zero, limits) { time.shutdownSignal?.isRequested == true }
    // Try the shipped authorities first for AWS hosts, as an exchange does.
    let attempts = configuration.usesAmazonRoots(for: host(of: url)) ? [true, false] : [false]
    var failure: HTTPError?
    for amazonRoots in attempts {
      let timeout = time.bootTime.duration(to: deadline)
      guard timeout > .zero else { throw .timedOut(.connecting, "the deadline had already passed") }
      try handle.reset()
      try handle.prepareConnections(secure: isSecure(url), configuration, amazonRoots: amazonRoots)
      try handle.aim(at: url, configuration, timeout: timeout)
      try handle.openSockets(through: gate)
      if let preparation { try handle.prepareTLS(through: preparation) }
      if !configuration.connectTo.isEmpty { try handle.set(CURLOPT_CONNECT_TO, to: connectTo) }
      try handle.set(CURLOPT_CONNECT_ONLY, to: true)
      // A proxy must tunnel everything, `http://` too.
      try handle.set(CURLOPT_HTTPPROXYTUNNEL, to: true)
      // The caller's protocol keeps the connection alive, and a probe would wake a sleeping device.
      try handle.set(CURLOPT_TCP_KEEPALIVE, to: false)
      try handle.watch(through: stop)
      limits.begin()
      let code = handle.perform()
      failure =
        preparation?.failure ?? configuration.refusal(gate, secure: isSecure(url))
        ?? handle.failureToConnect(code, limits, to: url, configuration)
      // `stop` isn't needed once the connection is established, and it doesn't outlive this initialiser.
      try handle.set(CURLOPT_NOPROGRESS, to: true)
      guard !stop.hasStopped else { throw .stopped }
      guard let failure, failure.isAboutTheirCertificate else { break }
    }
    if let failure { throw failure }
    guard let socket = handle.activeSocket() else { throw .notConnected("libcurl left no connection open") }
    self.handle = handle
    self.connectTo = connectTo
    self.gate = gate
    self.preparation = preparation
    self.configuration = configuration
    self.time = time
    self.socket = socket
  }

  /// The TLS version, such as `TLSv1.3`; nil without TLS, and before the first call of ``send(_:until:)`` or
  /// ``receive(into:limit:until:)``.
  package var tlsVersion: String? { handle.tlsVersion() }

  /// Appends what has arrived, at most `limit` bytes, and returns the number of bytes; 0 if the peer has closed its
  /// side.
  ///
  /// Checks at least once and waits until `deadline`, then throws `HTTPError.timedOut`. If the process is asked to
  /// stop, waits for a response for at most another ``ShutdownSignal/grace``, then throws `HTTPError.stopped`.
  package func receive(
    into buffer: inout [UInt8], limit: Int, until deadline: BootTime
  ) throws(HTTPError) -> Int {
    var piece = [UInt8](repeating: 0, count: limit)
    while true {
      let (code, count) = unsafe piece.withUnsafeMutableBytes { unsafe handle.receive(into: $0) }
      if code == CURLE_OK {
        buffer.append(contentsOf: piece.prefix(count))
        return count
      }
      guard code == CURLE_AGAIN else { throw failure(code) }
      // CURLE_AGAIN means that libcurl has no decrypted bytes left, so waiting on the socket is safe.
      try wait(toBe: .readable, until: deadline)
    }
  }

  /// Sends all of `bytes`. After an error, it is unknown how many were sent.
  package func send(_ bytes: [UInt8], until deadline: BootTime) throws(HTTPError) {
    // Use one buffer throughout: OpenSSL requires that a deferred write is repeated from the same address.
    try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(HTTPError) in
      let buffer = UnsafeRawBufferPointer(buffer)
      var sent = 0
      while sent < buffer.count {
        let (code, count) = unsafe handle.send(UnsafeRawBufferPointer(rebasing: buffer[sent...]))
        if code == CURLE_OK {
          sent += count
        } else if code == CURLE_AGAIN {
          try wait(toBe: .writable, until: deadline)
        } else {
          throw failure(code)
        }
      }
    }
  }

  private func wait(toBe readiness: Readiness, until deadline: BootTime) throws(HTTPError) {
    let now = time.bootTime
    guard now < deadline else { throw .timedOut(.answering, "the deadline passed") }
    let graceEnd = time.shutdownSignal?.graceEnd
    if let graceEnd, now >= graceEnd { throw .stopped }
    do throws(Errno) {
      _ = try time.wait(
        for: socket, toBe: readiness, until: min(deadline, graceEnd ?? deadline),
        endsOnShutdown: graceEnd == nil)
    } catch {
      throw .connectionLost("\(error)")
    }
  }

  private func failure(_ code: CURLcode) -> HTTPError {
    HTTPError(code: code, reason: handle.reason(for: code), wasSent: true, trust: configuration.trust)
  }
}

extension EasyHandle {
  /// Returns why the connection failed; nil if `code` reports success.
  borrowing func failureToConnect(
    _ code: CURLcode, _ limits: ConnectionLimits, to url: String,
    _ configuration: ConnectionConfiguration
  ) -> HTTPError? {
    guard code != CURLE_OK else { return nil }
    let proxyStatus = number(CURLINFO_HTTP_CONNECTCODE)
    if proxyStatus >= 300 { return .proxyRefused(status: proxyStatus, reason(for: code)) }
    if let error = exceededLimit(code, limits, to: url, configuration) { return error }
    let error = HTTPError(code: code, reason: reason(for: code), wasSent: false, trust: configuration.trust)
    let systemError = number(CURLINFO_OS_ERRNO)
    guard case .notConnected = error, systemError != 0 else {
      return namingProxy(in: error, url, configuration, tunnels: true)
    }
    // libcurl's text repeats that it couldn't connect to this host and port, but doesn't contain the reason.
    let reason = "\(Errno(rawValue: Int32(systemError)))"
    let named = namingProxy(in: .notConnected(reason), url, configuration, tunnels: true)
    guard case .notConnected = named else { return named }
    let parts = URLParts(url)
    guard case .number(let port)? = parts.port else { return .notConnected("\(parts.host): \(reason)") }
    return .notConnected("\(parts.host) port \(port): \(reason)")
  }

  /// Returns the error for the phase that took too long; nil if libcurl failed for another reason or had connected.
  borrowing func exceededLimit(
    _ code: CURLcode, _ limits: ConnectionLimits, to url: String,
    _ configuration: ConnectionConfiguration
  ) -> HTTPError? {
    guard code == CURLE_OPERATION_TIMEDOUT || limits.isExceeded, limits.phase != .connected else {
      return nil
    }
    let time = "\(Double(Int(limits.timeOfPhase.inSeconds * 10)) / 10) s"
    switch limits.phase {
    case .resolving:
      // If there is a proxy, only its name is looked up.
      let proxy = configuration.proxyInUse(for: url)
      let name = proxy.map { host(of: $0.url) } ?? host(of: url)
      let reason = "no name server answered for '\(name)' within \(time)"
      return proxy == nil ? .notResolved(reason) : .proxyNotResolved(reason)
    case .connecting:
      let error = HTTPError.timedOut(.connecting, "connecting took more than \(time)")
      return namingProxy(in: error, url, configuration, tunnels: true)
    case .connected: return nil
    }
  }
}
