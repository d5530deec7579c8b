package import AWSClient
package import MQTT
package import Platform

/// Opens connections to the MQTT broker: over mutual TLS, over a signed WebSocket, or as a test's script describes.
package protocol BrokerConnector: AnyObject {
  /// The broker's address for the log, such as `mqtts://host:8883`.
  var endpoint: String { get }

  /// Whether the connection authenticates with a client certificate, so that a wrong one may be why the connection ends.
  var showsCertificate: Bool { get }

  /// Opens a connection that can carry MQTT.
  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream

  /// Gets the credentials that sign, if any do.
  func findCredentials(until deadline: BootTime) throws(CredentialError)

  /// The difference to the server's clock; nil if no response carried a date.
  var clockSkew: ClockSkew? { get }

  /// The client certificate that connections use; nil if they use none.
  var certificate: CertificateUse? { get }

  /// Forgets credentials obtained with a certificate and key, because the files may have changed.
  func renew()
}

extension BrokerConnector {
  package var showsCertificate: Bool { false }
  package func findCredentials(until deadline: BootTime) throws(CredentialError) {}
  package var clockSkew: ClockSkew? { nil }
  package var certificate: CertificateUse? { nil }
  package func renew() {}
}

/// Computes when the next attempt to connect is allowed.
///
/// Half of each delay is random, so that a fleet that lost its broker at one moment doesn't reconnect at one moment.
package struct ReconnectDelay: Sendable {
  private var backoff: Backoff
  /// The earliest moment of the next attempt; nil if it needn't wait.
  package private(set) var notBefore: BootTime?

  package init(first: Duration = .seconds(1), longest: Duration = .seconds(60)) {
    backoff = Backoff(first: first, cap: longest, jitter: 0.5)
  }

  package mutating func succeeded() {
    backoff.reset()
    notBefore = nil
  }

  package mutating func failed(at now: BootTime, using generator: inout some RandomNumberGenerator) {
    notBefore = now.advanced(by: backoff.next(using: &generator))
  }
}
