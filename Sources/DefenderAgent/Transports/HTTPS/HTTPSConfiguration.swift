package import AWSClient
package import HTTPClient
package import Platform

extension Transport {
  package static let https = Transport(
    name: "https", supportsReservedTopics: false, publishTimeout: .seconds(30),
    configuration: { reader, configuration in reader.https(configuration.access) })
}

/// The configuration of the transport `https`.
package struct HTTPSConfiguration: TransportConfiguration {
  /// The endpoint to publish to; nil if a mistake was noted.
  package let endpoint: ServiceEndpoint?
  /// The region for which requests are signed; nil if a certificate authenticates the device, or if a mistake was noted.
  package let region: String?
  /// The certificate that authenticates the device; nil if requests are signed.
  package let identity: ClientIdentity?

  package var destination: String { endpoint?.description ?? "an unknown endpoint" }

  package func publisher(_ access: Access, time: any Waiter, log: Log) throws -> any Publisher {
    if let identity, let endpoint {
      let publisher = try HTTPSPublisher(
        endpoint: endpoint, identity: identity, access.connection, time: time, log: log)
      publisher.connection = access.connection.with(identity, for: endpoint)
      return publisher
    }
    guard let endpoint, let region else { throw ConfigurationError(of: .region, "isn't set") }
    let publisher = HTTPSPublisher(
      endpoint: endpoint, region: region,
      credentials: try access.credentials(time: time, log: log),
      exchange: try CurlExchange(
        access.connection,
        isStopRequested: { time.shutdownSignal?.isRequested == true }),
      time: time, log: log)
    publisher.connection = access.connection
    return publisher
  }
}

extension Configuration {
  /// The configuration of `https`; nil with another transport.
  package var https: HTTPSConfiguration? { transportConfiguration as? HTTPSConfiguration }
}

extension ConfigurationReader {
  fileprivate mutating func https(_ access: Access) -> HTTPSConfiguration {
    let identity = publishingIdentity(access)
    // A certificate with a mistake needs no region either.
    let isSigned = namesRoleAlias || environment.value(.certificateFile, .privateKeyFile) == nil
    let host = (try? ServiceEndpoint(environment, region: nil))?.host
    let region = identity == nil && isSigned ? region(ofHost: host) : nil
    return HTTPSConfiguration(endpoint: endpoint(region: region), region: region, identity: identity)
  }

  /// Returns the certificate to publish with over HTTPS; nil if requests are signed.
  ///
  /// With a role alias, the certificate serves to obtain credentials, and these sign the requests.
  private mutating func publishingIdentity(_ access: Access) -> ClientIdentity? {
    // Read even with a role alias, when it isn't for publishing, so that mistakes in it are noted.
    let identity = identity(access.device)
    guard !namesRoleAlias, let identity else { return nil }
    if environment.value(.dataPlaneEndpoint, .endpoint) == nil {
      note(
        .dataPlaneEndpoint,
        "isn't set; to publish with a certificate, set it to the account's endpoint, such as "
          + "https://abc-ats.iot.eu-central-1.amazonaws.com:8443")
    }
    return identity
  }

  /// Returns the endpoint to publish to; nil if a mistake was noted.
  private mutating func endpoint(region: String?) -> ServiceEndpoint? {
    do throws(ServiceEndpointError) {
      return try ServiceEndpoint(environment, region: region)
    } catch {
      note(error)
      return nil
    }
  }
}
