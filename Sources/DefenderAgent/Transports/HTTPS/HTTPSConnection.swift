package import AWSClient
package import HTTPClient
package import Platform

extension HTTPSPublisher {
  /// Creates a publisher that authenticates with a client certificate.
  ///
  /// Logs a warning if other users can read the key.
  package convenience init(
    endpoint: ServiceEndpoint, identity: ClientIdentity, _ connection: ConnectionConfiguration,
    time: any Waiter, log: Log
  ) throws(HTTPError) {
    guard endpoint.isSecure else {
      throw .invalidRequest("\(endpoint) isn't an https URL, but a client certificate needs TLS")
    }
    identity.report(to: log)
    let exchange = try CurlExchange(
      connection.with(identity, for: endpoint),
      isStopRequested: { time.shutdownSignal?.isRequested == true })
    self.init(endpoint: endpoint, exchangeWithCertificate: exchange, time: time, log: log)
  }
}

extension ConnectionConfiguration {
  /// Returns the configuration for connections to `endpoint`, with `identity` if a certificate authenticates the device.
  ///
  /// On port 8443 a certificate suffices. On port 443 the TLS handshake must also request the protocol `x-amzn-http-ca`
  /// ("Protocols, port mappings, and authentication", AWS IoT Core developer guide).
  package func with(_ identity: ClientIdentity?, for endpoint: ServiceEndpoint) -> Self {
    var configuration = self
    configuration.identity = identity
    if identity != nil, endpoint.port == 443 { configuration.applicationProtocol = "x-amzn-http-ca" }
    return configuration
  }
}
