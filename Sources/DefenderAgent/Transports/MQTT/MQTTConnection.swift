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

/// How long to wait before another attempt to connect: twice as long each time, with a random part, up to a limit.
///
/// "Exponential backoff and jitter" as the AWS SDKs have it; the random part is half, so that a fleet that lost its
/// broker in one moment doesn't come back in one.
package struct ReconnectDelay: Sendable {
  private let first: Duration
  private let longest: Duration
  private var failures = 0
  /// Before this moment no attempt is made.
  package private(set) var notBefore: BootTime?

  package init(first: Duration = .seconds(1), longest: Duration = .seconds(60)) {
    self.first = first
    self.longest = longest
  }

  package mutating func succeeded() {
    failures = 0
    notBefore = nil
  }

  package mutating func failed(at now: BootTime, using generator: inout some RandomNumberGenerator) {
    // Past the sixth doubling the limit rules anyway.
    let full = min(longest, first * (1 << min(failures, 6)))
    failures += 1
    notBefore = now.advanced(by: full * Double.random(in: 0.5...1, using: &generator))
  }
}
