package import MQTT
package import Platform

/// A way to the MQTT broker: mutual TLS, a signed WebSocket, or a test's script.
package protocol BrokerConnector: AnyObject {
  /// Where it leads, for a log, such as `mqtts://host:8883`.
  var endpoint: String { get }

  /// Whether a client certificate has to say who we are, so that a wrong one may be why a connection ends.
  var showsCertificate: Bool { get }

  /// Opens a connection that MQTT can be spoken over.
  func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream

  /// Forgets credentials that were got with a certificate and key: the files may have changed.
  func renew()
}

extension BrokerConnector {
  package var showsCertificate: Bool { false }
  package func renew() {}
}

/// When the next attempt to connect is allowed.
///
/// Half of each delay is random, so that a fleet that lost its broker in one moment doesn't come back in one.
package struct ReconnectDelay: Sendable {
  private var backoff: Backoff
  /// Before this moment no attempt is made.
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
