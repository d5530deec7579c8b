package import AWSClient
import HTTPClient
package import Platform

/// What the transport `https` can try without publishing.
extension HTTPSPublisher {
  /// How long to wait for the other side to reject the client certificate. With TLS 1.3 that takes a round trip after the
  /// handshake.
  private static let rejectionTime = Duration.milliseconds(500)

  /// Gets the credentials, opens a TLS connection and closes it again: an idle HTTPS connection isn't worth keeping.
  ///
  /// Sends no request, so it doesn't show whether AWS IoT accepts the signature or the policy allows the topic.
  package func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    guard let connection else { return nil }
    do throws(CredentialError) {
      try findCredentials(until: deadline)
    } catch {
      throw PublishError(.credentials(error), topic: topic, endpoint: endpoint.description, attempts: 0)
    }
    do throws(HTTPError) {
      let limit = min(deadline, time.bootTime.advanced(by: attemptTimeout))
      let opened = try CurlConnection(to: endpoint.url("/"), connection, time: time, until: limit)
      try waitForRejection(opened, hasIdentity: connection.identity != nil)
      var result = OpenedConnection(endpoint: endpoint.description)
      result.tlsVersion = opened.tlsVersion
      result.credentialSource = (credentials as? CredentialChain)?.lastSource
      return result
    } catch {
      throw PublishError(.exchange(error), topic: topic, endpoint: endpoint.description, attempts: 1)
    }
  }

  package func findCredentials(until deadline: BootTime) throws(CredentialError) {
    guard let credentials else { return }
    guard try credentials.credentials(at: time.wallTime, until: deadline) == nil else { return }
    throw .noSourceConfigured(tried: [credentials.name])
  }

  /// Throws if the other side closes the connection, which it does if it rejects the client certificate.
  private func waitForRejection(_ opened: CurlConnection, hasIdentity: Bool) throws(HTTPError) {
    var bytes: [UInt8] = []
    let limit = time.bootTime.advanced(by: hasIdentity ? Self.rejectionTime : .zero)
    do throws(HTTPError) {
      let count = try opened.receive(into: &bytes, limit: 1, until: limit)
      // A server may close a connection that receives no request, but not at once.
      if count == 0 { throw .connectionLost("the other side closed the new connection") }
    } catch .timedOut {}
  }
}
