package import AWSClient
package import HTTPClient
package import Platform
package import WireFormats

/// Publishes over HTTPS: `POST /topics/<topic>?qos=<n>` of the IoT data plane.
///
/// Requests are signed with AWS credentials, or a client certificate authenticates the connection. ``ServiceClient`` retries
/// them, so the other side may get a message twice, but never less than once.
package final class HTTPSPublisher: Publisher {
  let endpoint: ServiceEndpoint
  private let client: ServiceClient
  /// How ``open(for:until:)`` connects; nil if it doesn't.
  package var connection: ConnectionConfiguration?
  private var last: (topic: Topic, qos: QualityOfService, url: String)?

  /// Creates a publisher that signs with `credentials`. An attempt takes at most `attemptTimeout`.
  package convenience init(
    endpoint: ServiceEndpoint, region: String, credentials: any CredentialSource, exchange: any HTTPExchange,
    time: any Waiter, log: Log, attemptTimeout: Duration = ServiceClient.standardAttemptTimeout
  ) {
    self.init(endpoint, (region, credentials), exchange, time, log, attemptTimeout: attemptTimeout)
  }

  /// Creates a publisher that doesn't sign. `exchange` presents a client certificate, and its AWS IoT policy applies.
  package convenience init(
    endpoint: ServiceEndpoint, exchangeWithCertificate exchange: any HTTPExchange, time: any Waiter,
    log: Log
  ) {
    self.init(endpoint, nil, exchange, time, log)
  }

  package init(
    _ endpoint: ServiceEndpoint, _ signing: (region: String, credentials: any CredentialSource)?,
    _ exchange: any HTTPExchange, _ time: any Waiter, _ log: Log,
    attemptTimeout: Duration = ServiceClient.standardAttemptTimeout,
    jitter: @escaping () -> Double = { .random(in: 0..<1) }
  ) {
    self.endpoint = endpoint
    client = ServiceClient(
      signing.map {
        ServiceClient.Signing(
          region: $0.region, service: AWSService.iotDataPlane.signingName, credentials: $0.credentials)
      },
      exchange, time: time, log: log, attemptTimeout: attemptTimeout, jitter: jitter)
  }

  var credentials: (any CredentialSource)? { client.credentials }
  var time: any Waiter { client.time }
  var attemptTimeout: Duration { client.attemptTimeout }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    try checkSize(of: payload, to: topic, at: endpoint.description)
    let request = HTTPRequest(method: "POST", url: url(topic, qos), body: payload)
    do throws(ServiceFailure) {
      let (response, attempts) = try client.send(request, until: deadline)
      return PublishReceipt(
        status: response.status, requestID: response.header(.amznRequestID), body: response.body,
        attempts: attempts)
    } catch {
      throw PublishError(
        PublishError.Cause(error.cause), topic: topic, endpoint: endpoint.description,
        attempts: error.attempts)
    }
  }

  package var certificate: CertificateUse? {
    connection?.identity.map { CertificateUse(identity: $0, authenticatesConnection: true) }
      ?? credentials?.certificate
  }

  package func disconnect() { client.disconnect() }

  package func renew() {
    disconnect()
    credentials?.renew()
    connection?.identity?.keeper.readAgain()
  }

  /// Returns the URL for messages to `topic`. Keeps the last one, because reports usually have the same topic.
  private func url(_ topic: Topic, _ qos: QualityOfService) -> String {
    if let last, last.topic == topic, last.qos == qos { return last.url }
    let url = endpoint.url(topic.path, query: "qos=\(qos.rawValue)")
    last = (topic, qos, url)
    return url
  }
}
