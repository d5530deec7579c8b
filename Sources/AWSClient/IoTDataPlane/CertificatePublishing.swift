package import HTTPClient
package import Platform

extension HTTPSPublisher {
  /// A publisher that a client certificate speaks for.
  ///
  /// Port 8443 takes certificates as it is; on port 443 the TLS handshake has to ask for `x-amzn-http-ca` ("Protocols,
  /// port mappings, and authentication", AWS IoT Core developer guide). A key that others may read is a warning.
  package convenience init(
    endpoint: Endpoint, identity: ClientIdentity, environment: Environment, time: any TimeKeeper, log: Log
  ) throws(HTTPError) {
    guard endpoint.isSecure else {
      throw .invalidRequest("\(endpoint) isn't https, and a client certificate needs TLS")
    }
    if let warning = identity.warning { log.warn(warning) }
    var configuration = CurlExchange.Configuration(environment)
    configuration.identity = identity
    if endpoint.port == 443 { configuration.applicationProtocol = "x-amzn-http-ca" }
    let exchange = try CurlExchange(
      configuration, isStopRequested: { time.shutdownSignal?.isRequested == true })
    do throws(CryptographyError) {
      try self.init(endpoint: endpoint, exchangeWithCertificate: exchange, time: time, log: log)
    } catch {
      throw .invalidRequest("\(error)")
    }
  }
}
