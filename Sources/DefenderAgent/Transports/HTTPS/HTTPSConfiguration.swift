package import AWSClient
package import HTTPClient
package import Platform

extension Transport {
  package static let https = Transport(
    name: "https", takesReservedTopics: false, publishTimeout: .seconds(30),
    configuration: { reader, _ in reader.https() })
}

/// What the environment says about the transport `https`.
package struct HTTPSConfiguration: TransportConfiguration {
  /// Nil where a mistake was noted.
  package let endpoint: ServiceEndpoint?
  /// To sign for; nil where a certificate speaks for the device, or a mistake was noted.
  package let region: String?
  /// The certificate that speaks for the device; nil where requests are signed.
  package let identity: ClientIdentity?

  package func publisher(_ environment: Environment, time: any TimeKeeper, log: Log) throws -> any Publisher {
    if let identity, let endpoint {
      return try HTTPSPublisher(
        endpoint: endpoint, identity: identity, environment: environment, time: time, log: log)
    }
    guard let endpoint, let region else { throw ConfigurationError(of: "AWS_REGION", "isn't set") }
    return try HTTPSPublisher(
      endpoint: endpoint, region: region,
      credentials: try CredentialChain(environment, time: time, log: log),
      exchange: try CurlExchange(
        ConnectionConfiguration(environment),
        isStopRequested: { time.shutdownSignal?.isRequested == true }),
      time: time, log: log)
  }
}

extension Configuration {
  /// What was read for `https`; nil with another transport.
  package var https: HTTPSConfiguration? { transportConfiguration as? HTTPSConfiguration }
}

extension ConfigurationReader {
  fileprivate mutating func https() -> HTTPSConfiguration {
    let identity = publishingIdentity()
    let region = identity == nil ? region() : nil
    return HTTPSConfiguration(endpoint: endpoint(region: region), region: region, identity: identity)
  }

  /// The certificate to publish with over HTTPS; nil where requests are signed.
  ///
  /// With a role alias, the certificate is what credentials are asked for with, and the requests are signed with those.
  private mutating func publishingIdentity() -> ClientIdentity? {
    // With a role alias it isn't for publishing, and its mistakes are noted all the same.
    let identity = identity()
    guard environment.value("DEFENDER_ROLE_ALIAS") == nil, let identity else { return nil }
    if environment.value("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "AWS_ENDPOINT_URL") == nil {
      note(
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE",
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
      switch error {
      case .noRegion, .malformedRegion: break  // `region()` has noted it, with the variable.
      case .malformedURL(let variable, let reason): note(variable, "can't be used: \(reason)")
      case .hasQuery(let variable):
        note(variable, "has a '?' in it; an endpoint is a scheme, a host and a path")
      case .malformedFlag(let variable, let value):
        note(variable, "is '\(value)'; allowed are true and false")
      }
      return nil
    }
  }
}
