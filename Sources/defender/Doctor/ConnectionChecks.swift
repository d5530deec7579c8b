import AWSClient
import DefenderAgent
import HTTPClient
import Platform

/// The destination of the connection for reports, and its settings.
private struct Destination {
  /// The URL for libcurl: `https://host:port`.
  let url: String
  let host: String
  let port: UInt16
  let isSecure: Bool
  let configuration: ConnectionConfiguration

  init(_ endpoint: ServiceEndpoint, _ identity: ClientIdentity?, _ connection: ConnectionConfiguration) {
    url = endpoint.description
    host = endpoint.host
    port = endpoint.port
    isSecure = endpoint.isSecure
    configuration = connection.with(identity, for: endpoint)
  }

  init(_ mqtt: MQTTConfiguration, _ connection: ConnectionConfiguration) {
    var configuration = connection
    if mqtt.broker.scheme == .mqtts { configuration.identity = mqtt.identity }
    url = mqtt.broker.connectionURL
    host = mqtt.broker.host
    port = mqtt.broker.port
    isSecure = mqtt.broker.scheme != .mqtt
    self.configuration = connectionConfiguration(configuration, for: mqtt.broker)
  }

  init?(_ configuration: Configuration) {
    if let mqtt = configuration.mqtt {
      self.init(mqtt, configuration.access.connection)
    } else if let https = configuration.https, let endpoint = https.endpoint {
      self.init(endpoint, https.identity, configuration.access.connection)
    } else {
      return nil
    }
  }

  /// Whether a proxy may be used; the connection trial finds out whether one is.
  var mayUseProxy: Bool { configuration.proxy != .none }
}

extension Doctor {
  /// Checks proxy, DNS, TCP and TLS; returns whether a connection is possible.
  mutating func checkConnection() -> Bool {
    guard !isMistaken(.certificateAuthorities, .systemCertificateAuthorities) else {
      for check in ["DNS", "TCP", "TLS"] { note(check, .skipped, "see configuration") }
      return false
    }
    guard !hasProxyFailed else {
      for check in ["DNS", "TCP", "TLS"] { note(check, .skipped, "see proxy") }
      return false
    }
    guard let destination = Destination(configuration) else {
      let isOurs = configuration.transport == .https || configuration.transport == .mqtt
      let reason =
        !isOurs
        ? "\(carrier) owns the connection to AWS IoT"
        : mistakenVariables.isEmpty ? "no endpoint is configured" : "see configuration"
      for check in ["DNS", "TCP", "TLS"] { note(check, .skipped, reason) }
      return configuration.transport == .greengrass ? nucleus != nil : !isOurs
    }
    let trial = ConnectionTrial(
      to: destination.url, destination.configuration, timeout: options.stepTimeout)
    noteProxy(trial, destination)
    noteLookup(trial, destination)
    noteConnect(trial, destination)
    noteHandshake(trial, destination)
    return trial.failure == nil
  }

  private mutating func noteProxy(_ trial: ConnectionTrial, _ destination: Destination) {
    guard destination.mayUseProxy else { return }
    if let (step, error) = trial.failure, step == .proxy {
      var text = "\(error)"
      // The other errors name the proxy themselves.
      if case .proxyRefused = error, let proxy = trial.proxy { text = "\(proxy): \(text)" }
      note("proxy", .failed, text, advice: error.advice)
    } else if let proxy = trial.proxy {
      note("proxy", .ok, proxy)
    } else {
      note(
        "proxy", .ok, "none for \(destination.host): NO_PROXY excludes it, or no proxy is set for its scheme")
    }
  }

  private mutating func noteLookup(_ trial: ConnectionTrial, _ destination: Destination) {
    if let (step, error) = trial.failure, step <= .resolving {
      guard step == .resolving else { return note("DNS", .skipped, "see \(step.name)") }
      note(
        "DNS", .failed, "\(destination.host): \(error)",
        advice: "Check the endpoint's name, the region and the resolver (/etc/resolv.conf).")
      return
    }
    let address = trial.address.map { " is \($0.prefix { $0 != " " })" } ?? " has an address"
    let host = trial.proxy == nil ? destination.host : "the proxy (which resolves \(destination.host))"
    note("DNS", .ok, "\(host)\(address), after \(milliseconds(trial.timeOfLookup))")
  }

  private mutating func noteConnect(_ trial: ConnectionTrial, _ destination: Destination) {
    switch trial.failure {
    case (let step, _)? where step < .resolving: note("TCP", .skipped, "see \(step.name)")
    case (.resolving, _)?: note("TCP", .skipped, "no address")
    case (.connecting, let error)?:
      var text = "\(destination.host) port \(destination.port): \(error)"
      // This error names host and port itself.
      if case .notConnected(let reason) = error, reason.hasPrefix("\(destination.host) port ") {
        text = reason
      }
      note(
        "TCP", .failed, text,
        advice:
          "Check the endpoint, the route and the firewall (AWS IoT uses ports 443, 8443 and 8883). If you need "
          + "a proxy, set HTTPS_PROXY.")
    default:
      let proxy = trial.proxy == nil ? "" : ", and through the proxy to \(destination.host)"
      note(
        "TCP", .ok,
        "connected to \(trial.address ?? destination.host) after \(milliseconds(trial.timeOfConnect))\(proxy)"
      )
    }
  }

  private mutating func noteHandshake(_ trial: ConnectionTrial, _ destination: Destination) {
    if let (step, error) = trial.failure {
      if isCertificateUnusable, step == .files || step == .handshake, trial.rejection == nil {
        note("TLS", .skipped, "see certificate")
      } else if step == .files {
        note("TLS", .failed, "\(error)", advice: error.advice)
      } else if step < .handshake {
        note("TLS", .skipped, "no connection")
      } else {
        noteFailedHandshake(trial, error)
      }
      return
    }
    guard destination.isSecure else {
      note(
        "TLS", .warning, "the connection isn't encrypted, because the endpoint isn't https",
        advice: "Use that only for services on this machine.")
      return
    }
    guard let certificate = trial.chain.first, let end = certificate.notAfter else {
      note("TLS", .warning, "verified, but the server's certificate isn't available")
      return
    }
    let trust =
      trial.usedAmazonRoots ? "the built-in Amazon authorities" : destination.configuration.trust.description
    let text =
      "verified after \(milliseconds(trial.timeOfHandshake)): \(certificate.subject), issued by "
      + "\(certificate.issuer), \(validity(certificate.notBefore, end, at: time.wallTime)), trusted by \(trust)"
    if time.wallTime.duration(to: end) < .seconds(7 * 86_400) {
      note("TLS", .warning, text, advice: "The operator of the endpoint must renew its certificate.")
    } else {
      note("TLS", .ok, text)
    }
  }

  private mutating func noteFailedHandshake(_ trial: ConnectionTrial, _ error: HTTPError) {
    var text = "\(error)"
    if let certificate = trial.chain.first {
      text +=
        "; the certificate is \(certificate.subject) (\(certificate.names)), issued by \(certificate.issuer)"
      if let end = certificate.notAfter {
        text += ", \(validity(certificate.notBefore, end, at: time.wallTime))"
      }
    }
    let advice =
      if trial.rejection?.isAboutTime == true {
        "Either the server's certificate must be renewed, or this machine's clock is wrong: it shows "
          + "\(date(time.wallTime))."
      } else if trial.rejection != nil {
        "To trust another authority, set AWS_CA_BUNDLE to a PEM file with its certificate. A proxy that inspects TLS "
          + "presents its own certificates."
      } else if error.isAboutOurCertificate {
        "The certificate must be registered and active in AWS IoT, and the key must belong to it."
      } else if case .notTrusted = error {
        "Check that the endpoint is the server's host name, and that AWS_CA_BUNDLE is a readable PEM file."
      } else {
        "The server may require a client certificate, or may not use TLS on this port."
      }
    note("TLS", .failed, text, advice: advice)
  }
}

extension ConnectionTrial.Step {
  /// The check that reports a failure of this step.
  fileprivate var name: String { self == .files ? "TLS" : "proxy" }
}
