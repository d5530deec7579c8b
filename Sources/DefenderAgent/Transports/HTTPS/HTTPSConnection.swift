package import AWSClient
package import HTTPClient
package import Platform

extension HTTPSPublisher {
  /// A publisher that a client certificate speaks for.
  ///
  /// A key that others may read is a warning.
  package convenience init(
    endpoint: ServiceEndpoint, identity: ClientIdentity, environment: Environment, time: any TimeKeeper,
    log: Log
  ) throws(HTTPError) {
    guard endpoint.isSecure else {
      throw .invalidRequest("\(endpoint) isn't https, and a client certificate needs TLS")
    }
    if let warning = identity.warning { log.warn(warning) }
    let exchange = try CurlExchange(
      ConnectionConfiguration(environment, endpoint: endpoint, identity: identity),
      isStopRequested: { time.shutdownSignal?.isRequested == true })
    do throws(CryptographyError) {
      try self.init(endpoint: endpoint, exchangeWithCertificate: exchange, time: time, log: log)
    } catch {
      throw .invalidRequest("\(error)")
    }
  }
}

extension ConnectionConfiguration {
  /// How `endpoint` is connected to, with `identity` where a certificate speaks for us.
  ///
  /// Port 8443 takes certificates as it is; on port 443 the TLS handshake has to ask for `x-amzn-http-ca` ("Protocols,
  /// port mappings, and authentication", AWS IoT Core developer guide).
  package init(_ environment: Environment, endpoint: ServiceEndpoint, identity: ClientIdentity?) {
    self.init(environment)
    self.identity = identity
    if identity != nil, endpoint.port == 443 { applicationProtocol = "x-amzn-http-ca" }
  }
}
