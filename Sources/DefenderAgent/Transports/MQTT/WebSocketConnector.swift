package import AWSClient
package import HTTPClient
package import MQTT
package import Platform

/// Connects over a WebSocket whose request is signed with AWS credentials.
package final class WebSocketConnector: BrokerConnector {
  private let broker: BrokerEndpoint
  private let configuration: ConnectionConfiguration
  private let credentials: any CredentialSource
  private let time: any Waiter
  private var random: any RandomNumberGenerator
  private let log: Log
  private var signer: RequestSigner
  private var skew = ClockSkew()
  /// The credentials that signed the last request target.
  private var usedCredentials: Credentials?

  package init(
    _ broker: BrokerEndpoint, _ configuration: ConnectionConfiguration, region: String,
    credentials: any CredentialSource, time: any Waiter, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) throws(CryptographyError) {
    signer = try RequestSigner(region: region, service: "iotdevicegateway")
    self.broker = broker
    var configuration = connectionConfiguration(configuration, for: broker)
    // The credentials authenticate the device, so a certificate isn't needed.
    configuration.identity = nil
    self.configuration = configuration
    self.credentials = credentials
    self.time = time
    self.log = log
    self.random = random
  }

  package var endpoint: String { broker.description }

  package var clockSkew: ClockSkew? { skew }

  package var certificate: CertificateUse? { credentials.certificate }

  package func renew() { credentials.renew() }

  package func findCredentials(until deadline: BootTime) throws(CredentialError) {
    guard try credentials.credentials(at: time.wallTime, until: deadline) == nil else { return }
    throw .noSourceConfigured(tried: [credentials.name])
  }

  package func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    let target = try signedTarget(until: deadline)
    let stream = try openStream(to: broker, configuration, time, until: deadline)
    var upgrade = WebSocketUpgrade(host: broker.hostHeader, target: target, random: &random)
    upgrade.secrets = usedCredentials?.secrets ?? []
    do throws(WebSocketFailure) {
      return try WebSocketStream(
        upgrading: stream, with: upgrade, time: time, random: random, until: deadline)
    } catch {
      stream.close()
      throw failure(error)
    }
  }

  private func signedTarget(until deadline: BootTime) throws(TransportFailure) -> String {
    let now = time.wallTime.advanced(by: skew.offset)
    do {
      guard let found = try credentials.credentials(at: now, until: deadline) else {
        throw CredentialError.noSourceConfigured(tried: [credentials.name])
      }
      usedCredentials = found
      return try signer.mqttWebSocketTarget(host: broker.hostHeader, with: found, at: now)
    } catch {
      if time.shutdownSignal?.isRequested == true { throw .stopped(before: "credentials were available") }
      throw TransportFailure(
        reason: "\(error)",
        advice: "A WebSocket needs AWS credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        isTransient: false)
    }
  }

  private func failure(_ error: WebSocketFailure) -> TransportFailure {
    if case .stream(.stopped) = error { return .stopped(before: "the WebSocket to \(broker) was open") }
    guard case .refused(let answer, _) = error else {
      return TransportFailure(reason: "\(error)", advice: "Check the network.", isTransient: true)
    }
    let isRefusal = [400, 401, 403].contains(answer.status)
    let isClock = isRefusal && learnsOfClock(from: answer)
    // Cached credentials may have been revoked. If the source had cached them, a retry gets new ones.
    let hasOthers = isRefusal && !isClock && usedCredentials.map(credentials.forget) == true
    return TransportFailure(
      reason: "\(error)",
      advice: isClock
        ? "The clock is wrong: synchronize it (NTP). The next attempt corrects for the difference."
        : adviceOnRefusal(answer.status, isRefusal: isRefusal),
      isTransient: isClock || hasOthers || answer.status >= 500 || answer.status == 429)
  }

  private func adviceOnRefusal(_ status: Int, isRefusal: Bool) -> String {
    switch status {
    case _ where isRefusal:
      "Check that the credentials are valid and allow iot:Connect, and that the signing region is the endpoint's."
    case 429: "AWS IoT throttled the connection; the next report is published as usual."
    case 500...: "The failure is inside AWS IoT; the next report is published as usual."
    default: "Check that the endpoint is AWS IoT's: its WebSocket service doesn't send this response."
    }
  }

  /// Adopts the clock of the response if ours is off by minutes. Returns whether the time for signing changed.
  private func learnsOfClock(from answer: HTTPResponse) -> Bool {
    let used = skew.offset
    skew.observe(answer, sent: time.wallTime, duration: .zero)
    let change = skew.offset - used
    guard change >= ClockSkew.threshold || change <= .zero - ClockSkew.threshold else { return false }
    if let warning = skew.warning { log.warn(warning) }
    return true
  }
}
