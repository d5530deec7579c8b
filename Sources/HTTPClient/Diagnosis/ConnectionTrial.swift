import CCurl
import Platform

/// How far a connection came: what `defender doctor` shows, by the very steps that a publish takes.
package struct ConnectionTrial: Sendable {
  /// The steps of a connection, in their order; what has to do with files or the proxy alone is first.
  package enum Step: Int, Comparable, Sendable {
    case files, proxy, resolving, connecting, handshake

    package static func < (left: Step, right: Step) -> Bool { left.rawValue < right.rawValue }
  }

  /// Where it went, such as `192.0.2.1 port 443`: the proxy's address where there is one; nil where it got no address.
  package private(set) var address: String?
  /// The proxy that it goes through, such as `proxy:3128 (HTTPS_PROXY)`; nil where it goes straight to the host.
  package private(set) var proxy: String?
  /// How long it took from the beginning until each step was done.
  package private(set) var timeOfLookup: Duration = .zero
  package private(set) var timeOfConnect: Duration = .zero
  package private(set) var timeOfHandshake: Duration = .zero
  /// The certificates that the other side showed, its own first; empty without TLS.
  package private(set) var chain: [CertificateSummary] = []
  /// What is wrong with them; nil where nothing.
  package private(set) var rejection: CertificateRejection?
  /// Whether the shipped certificate authorities vouched for the other side, or nobody had to.
  package private(set) var usedAmazonRoots = false
  /// Which step failed, and how; nil where the connection was made.
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
      // A handle of its own for each: one that is used again wouldn't look the name up again.
      let handle = try EasyHandle()
      let recorder = CertificateRecorder(try configuration.negotiation())
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
        configuration.refusal(gate, secure: isSecure(url))
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
