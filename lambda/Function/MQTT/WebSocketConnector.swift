package import AWSClient
package import HTTPClient
package import MQTT
package import Platform

/// MQTT over a WebSocket that is signed with AWS credentials.
package final class WebSocketConnector: BrokerConnector {
  private let broker: BrokerEndpoint
  private let configuration: CurlExchange.Configuration
  private let credentials: any CredentialSource
  private let time: any TimeKeeper
  private let log: Log
  private var signer: RequestSigner
  /// How far AWS's clock is ahead of ours, as its answers said.
  private var clockSkew = Duration.zero

  package init(
    _ broker: BrokerEndpoint, _ configuration: CurlExchange.Configuration, region: String,
    credentials: any CredentialSource, time: any TimeKeeper, log: Log
  ) throws(CryptographyError) {
    signer = try RequestSigner(region: region, service: "iotdevicegateway")
    self.broker = broker
    self.configuration = configuration
    self.configuration.connectTimeout = .seconds(60)
    // A certificate proves nothing here, and not every server takes one that it didn't ask for.
    self.configuration.identity = nil
    self.credentials = credentials
    self.time = time
    self.log = log
  }

  package var endpoint: String { broker.description }

  package func connect(until deadline: BootTime) throws(TransportFailure) -> any ByteStream {
    let target = try signedTarget()
    let stream = try openStream(to: broker, configuration, time, until: deadline)
    let upgrade = WebSocketUpgrade(host: broker.hostHeader, target: target)
    do throws(WebSocketFailure) {
      return try WebSocketStream(upgrading: stream, with: upgrade, time: time, until: deadline)
    } catch {
      stream.close()
      throw failure(error)
    }
  }

  private func signedTarget() throws(TransportFailure) -> String {
    let now = time.wallTime.advanced(by: clockSkew)
    do {
      guard let found = try credentials.credentials(at: now) else {
        throw CredentialError.noSourceConfigured(tried: [credentials.name])
      }
      return try signer.mqttWebSocketTarget(host: broker.hostHeader, with: found, at: now)
    } catch {
      throw TransportFailure(
        reason: "\(error)",
        advice: "A WebSocket needs AWS credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        isTransient: false)
    }
  }

  private func failure(_ error: WebSocketFailure) -> TransportFailure {
    guard case .refused(let answer, _, _) = error else {
      return TransportFailure(reason: "\(error)", advice: "Check the network.", isTransient: true)
    }
    if [400, 401, 403].contains(answer.status), correctClock(by: answer.value(of: "date")) {
      return TransportFailure(
        reason: "\(error)", advice: "The clock is wrong; set it (NTP). The difference is reckoned with from now on.",
        isTransient: true)
    }
    return TransportFailure(
      reason: "\(error)",
      advice: "The credentials have to be valid and allow iot:Connect, and the signing region that of the endpoint.",
      isTransient: answer.status >= 500 || answer.status == 429)
  }

  /// Takes the clock of the answer where ours is off by minutes; false where that wouldn't change anything.
  private func correctClock(by date: String?) -> Bool {
    guard let date, let theirs = WallTime(httpDate: date) else { return false }
    let skew = time.wallTime.duration(to: theirs)
    // AWS takes signatures within 5 minutes; what was corrected before and refused again isn't the clock.
    guard abs(skew.inSeconds) >= 240, abs((skew - clockSkew).inSeconds) >= 60 else { return false }
    clockSkew = skew
    log.warn("The clock differs from AWS's by \(Int(skew.inSeconds)) s; signatures allow for it. Set it (NTP).")
    return true
  }
}
