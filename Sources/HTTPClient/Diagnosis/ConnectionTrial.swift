import CCurl
import Platform

/// The result of a trial connection, which `defender doctor` shows. It has the same steps as a publish.
package struct ConnectionTrial: Sendable {
  /// The steps of a connection, in order. Failures in local files and in the proxy's configuration come first.
  package enum Step: Int, Comparable, Sendable {
    case files, proxy, resolving, connecting, handshake

    package static func < (left: Step, right: Step) -> Bool { left.rawValue < right.rawValue }
  }

  /// The address of the connection, such as `192.0.2.1 port 443`, or the proxy's address; nil if there was none.
  package private(set) var address: String?
  /// The proxy in use, such as `proxy:3128 (HTTPS_PROXY)`; nil if the connection is direct.
  package private(set) var proxy: String?
  /// The time from the start of the connection to the end of each step.
  package private(set) var timeOfLookup: Duration = .zero
  package private(set) var timeOfConnect: Duration = .zero
  package private(set) var timeOfHandshake: Duration = .zero
  /// The certificates that the peer presented, its own first; empty without TLS.
  package private(set) var chain: [CertificateSummary] = []
  /// Why OpenSSL rejected the certificates; nil if it didn't.
  package private(set) var rejection: CertificateRejection?
  /// Whether the connection succeeded with the shipped certificate authorities, even if it needed none.
  package private(set) var usedAmazonRoots = false
  /// The step that failed and its error; nil if the connection succeeded.
  package private(set) var failure: (step: Step, error: HTTPError)?

  /// Connects to the host of `url` and closes the connection again.
  package init(to url: String, _ configuration: ConnectionConfiguration, timeout: Duration) {
    do throws(HTTPError) {
      try connect(to: url, configuration, until: BootTime.now.advanced(by: timeout))
    } catch {
      failure = (failedStep(error), error)
    }
  }

  private mutating func connect(
    to url: String, _ configuration: ConnectionConfiguration, until deadline: BootTime
  ) throws(HTTPError) {
    proxy = configuration.proxyInUse(for: url)?.name
    let connectTo = try StringList(configuration.connectTo)
    let attempts = configuration.usesAmazonRoots(for: host(of: url)) ? [true, false] : [false]
    for amazonRoots in attempts {
      // Use a new handle for each attempt: a reused one wouldn't look up the name again.
      let handle = try EasyHandle()
      let preparation = try TLSPreparation(configuration)
      preparation?.begin(hasSecureProxy: configuration.usesSecureProxy(for: url))
      let recorder = CertificateRecorder(preparation)
      let limits = ConnectionLimits(connecting: configuration.connectTimeout)
      let gate = AddressGate(configuration.addressRule(secure: isSecure(url)), limits)
      let stop = StopGate(limits) { false }
      try handle.reset()
      let timeout = max(.milliseconds(1), BootTime.now.duration(to: deadline))
      try handle.prepareConnections(secure: isSecure(url), configuration, amazonRoots: amazonRoots)
      try handle.aim(at: url, configuration, timeout: timeout)
      try handle.openSockets(through: gate)
      if !configuration.connectTo.isEmpty { try handle.set(CURLOPT_CONNECT_TO, to: connectTo) }
      try handle.set(CURLOPT_CONNECT_ONLY, to: true)
      try handle.set(CURLOPT_HTTPPROXYTUNNEL, to: true)
      if isSecure(url) { try handle.record(in: recorder) }
      try handle.watch(through: stop)
      limits.begin()
      let code = handle.perform()
      withExtendedLifetime((recorder, gate, stop)) {}
      let error =
        recorder.failure ?? configuration.refusal(gate, secure: isSecure(url))
        ?? handle.failureToConnect(code, limits, to: url, configuration)
      note(handle)
      chain = recorder.chain
      rejection = recorder.rejection
      usedAmazonRoots = amazonRoots && error == nil
      failure = error.map { (failedStep($0), $0) }
      guard let error, error.isAboutTheirCertificate else { return }
    }
  }

  private mutating func note(_ handle: borrowing EasyHandle) {
    timeOfLookup = .microseconds(handle.offset(CURLINFO_NAMELOOKUP_TIME_T))
    timeOfConnect = .microseconds(handle.offset(CURLINFO_CONNECT_TIME_T))
    timeOfHandshake = .microseconds(handle.offset(CURLINFO_APPCONNECT_TIME_T))
    guard let text = handle.text(CURLINFO_PRIMARY_IP), !text.isEmpty else { return }
    address = "\(text) port \(handle.number(CURLINFO_PRIMARY_PORT))"
  }

  private func failedStep(_ error: HTTPError) -> Step {
    switch error {
    case .unusableFile: .files
    case .invalidProxy, .proxyNotResolved, .proxyFailed, .proxyRefused: .proxy
    case .invalidRequest, .notResolved, .outOfMemory: .resolving
    case .notConnected, .withoutTLS: .connecting
    case .timedOut: timeOfLookup == .zero ? .resolving : timeOfConnect == .zero ? .connecting : .handshake
    default: .handshake
    }
  }
}
