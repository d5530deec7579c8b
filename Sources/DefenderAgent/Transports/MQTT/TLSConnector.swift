package import HTTPClient
package import MQTT
package import Platform

/// Connects over TLS with a client certificate: on port 8883, or on 443 with the protocol name that AWS IoT requires there.
///
/// It also connects to a broker on this machine, without TLS.
package final class TLSConnector: BrokerConnector {
  /// The ALPN protocol name on port 443 ("Device communication protocols", AWS IoT developer guide).
  static let applicationProtocol = "x-amzn-mqtt-ca"

  private let broker: BrokerEndpoint
  private let configuration: ConnectionConfiguration
  private let time: any Waiter

  /// Creates a connector. `configuration` holds the certificate, the authorities and the proxy.
  package init(
    _ broker: BrokerEndpoint, _ configuration: ConnectionConfiguration, time: any Waiter
  ) {
    self.broker = broker
    self.configuration = connectionConfiguration(configuration, for: broker)
    self.time = time
  }

  package var endpoint: String { broker.description }
  package var showsCertificate: Bool { broker.scheme == .mqtts }

  package var certificate: CertificateUse? {
    guard showsCertificate else { return nil }
    return configuration.identity.map { CertificateUse(identity: $0, authenticatesConnection: true) }
  }

  package func renew() { configuration.identity?.keeper.readAgain() }

  package func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    try openStream(to: broker, configuration, time, until: deadline)
  }
}

/// Returns `configuration` with the settings that connections to `broker` need.
package func connectionConfiguration(
  _ configuration: ConnectionConfiguration, for broker: BrokerEndpoint
) -> ConnectionConfiguration {
  var configuration = configuration
  configuration.connectTimeout = MQTTPublisher.Settings.connectTimeout
  configuration.applicationProtocol =
    broker.scheme == .mqtts && broker.port == 443 ? TLSConnector.applicationProtocol : nil
  return configuration
}

/// Opens a connection to `broker` with libcurl.
func openStream(
  to broker: BrokerEndpoint, _ configuration: ConnectionConfiguration, _ time: any Waiter,
  until deadline: BootTime
) throws(TransportFailure) -> CurlStream {
  do throws(HTTPError) {
    return CurlStream(
      try CurlConnection(to: broker.connectionURL, configuration, time: time, until: deadline))
  } catch .stopped {
    throw .stopped(before: "the connection to \(broker) was open")
  } catch {
    throw TransportFailure(
      reason: "\(error)", advice: adviceOnConnecting(error), isTransient: error.isTransient)
  }
}

private func adviceOnConnecting(_ error: HTTPError) -> String {
  switch error {
  case .notResolved: "Check the endpoint's name and the resolver (/etc/resolv.conf)."
  case .notConnected, .timedOut:
    "Check the endpoint, the route and the firewall (AWS IoT uses ports 8883 and 443). If you need a proxy, set HTTPS_PROXY."
  case .notTrusted, .ownCertificateRejected:
    "Check the certificate, its key, and the trusted authorities (AWS_CA_BUNDLE)."
  case .handshakeFailed, .connectionLost, .lostAfterCertificate:
    "The broker may require a client certificate that is registered and active there."
  case .proxyFailed, .proxyNotResolved, .unusableFile, .withoutTLS: error.advice
  case .invalidProxy: "Correct HTTPS_PROXY, or add the endpoint's host to NO_PROXY."
  case .proxyRefused(407, _): "The proxy requires a user name and a password: set them in HTTPS_PROXY."
  case .proxyRefused: "Allow the endpoint in the proxy, or add its host to NO_PROXY."
  case .invalidRequest: "Check the endpoint."
  default: "Check the network."
  }
}
