package import AWSClient
package import HTTPClient
package import Platform

extension Transport {
  package static let https = Transport(
    name: "https", takesReservedTopics: false, publishTimeout: .seconds(30),
    configuration: { reader, configuration in reader.https(configuration.access) })
}

/// What the environment says about the transport `https`.
package struct HTTPSConfiguration: TransportConfiguration {
  /// Nil where a mistake was noted.
  package let endpoint: ServiceEndpoint?
  /// To sign for; nil where a certificate speaks for the device, or a mistake was noted.
  package let region: String?
  /// The certificate that speaks for the device; nil where requests are signed.
  package let identity: ClientIdentity?

  package func publisher(_ access: Access, time: any Waiter, log: Log) throws -> any Publisher {
    if let identity, let endpoint {
      return try HTTPSPublisher(
        endpoint: endpoint, identity: identity, access.connection, time: time, log: log)
    }
    guard let endpoint, let region else { throw ConfigurationError(of: .region, "isn't set") }
    return try HTTPSPublisher(
      endpoint: endpoint, region: region,
      credentials: try access.credentials(time: time, log: log),
      exchange: try CurlExchange(
        access.connection,
        isStopRequested: { time.shutdownSignal?.isRequested == true }),
      time: time, log: log)
  }
}

extension Configuration {
  /// What was read for `https`; nil with another transport.
  package var https: HTTPSConfiguration? { transportConfiguration as? HTTPSConfiguration }
}

extension ConfigurationReader {
  fileprivate mutating func https(_ access: Access) -> HTTPSConfiguration {
    let identity = publishingIdentity(access)
    let region = identity == nil ? region() : nil
    return HTTPSConfiguration(endpoint: endpoint(region: region), region: region, identity: identity)
  }

  /// The certificate to publish with over HTTPS; nil where requests are signed.
  ///
  /// With a role alias, the certificate is what credentials are asked for with, and the requests are signed with those.
  private mutating func publishingIdentity(_ access: Access) -> ClientIdentity? {
    // With a role alias it isn't for publishing, and its mistakes are noted all the same.
    let identity = identity(access.device)
    guard !namesRoleAlias, let identity else { return nil }
    if environment.value(.dataPlaneEndpoint, .endpoint) == nil {
      note(
        .dataPlaneEndpoint,
        "isn't set; publishing with a certificate takes the account's own endpoint, such as "
          + "https://abc-ats.iot.eu-central-1.amazonaws.com:8443")
    }
    return identity
  }

  /// The endpoint to publish to; nil where a mistake was noted.
  private mutating func endpoint(region: String?) -> ServiceEndpoint? {
    do throws(ServiceEndpointError) {
      return try ServiceEndpoint(environment, region: region)
    } catch {
      note(error)
      return nil
    }
  }
}
